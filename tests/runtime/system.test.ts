/** What the ground promises beyond delivery: ends are told, queues are bounded, questions end, nothing is left behind. */
import { describe, expect, test } from "bun:test";
import type { Transport } from "#actors/runtime/transport/transport";
import type { Address } from "#protocol/ids";
import type { AnyMessage } from "#protocol/message";
import type { Problem } from "#protocol/problem";
import { type EndKind, Runtime } from "#protocol/runtime";
import { ShardWorker } from "#protocol/shard-worker";
import { listener, Two } from "./two.ts";

const outside = "left/outside" as Address;
const boom = () => {
  throw new Error("boom");
};
const kindOf = (problem: Problem) => `${problem.kind}: ${problem.message}`;

const unload = ShardWorker.Unload({});

describe("watches", () => {
  test("tell once why an actor ended: in order, by a crash, or because it never was there", async () => {
    const { left, time } = new Two();
    const { heard, address } = listener(left, "watcher");
    left.monitor(
      address,
      left.spawn("tidy", () => {}),
    );
    left.monitor(address, left.spawn("clumsy", boom));
    left.monitor(address, left.address("nobody"));
    left.stop(left.address("tidy"));
    left.send(left.address("clumsy"), { type: "x" }, outside);
    await time.pass(10);
    const down = (name: string, how: EndKind, why: string) =>
      Runtime.Down({ actor: left.address(name), watch: 1, how, why });
    expect({ heard, watches: left.held.watches }).toEqual({
      heard: [
        down("tidy", "stopped", "it was stopped"),
        down("nobody", "lost", "left/nobody is not there"),
        down("clumsy", "crashed", "boom"),
      ],
      watches: 0,
    });
  });

  test("cross links, and are told when the link ends; those taken back are silent", async () => {
    const two = new Two();
    const { left, right, time } = two;
    const ends: string[] = [];
    const watch = (name: string) =>
      left.watch(right.address(name), ({ how, why }) => ends.push(`${name} ${how}: ${why}`));
    right.spawn("far", boom);
    right.spawn("stays", () => {});
    right.spawn("quiet", boom, { onCrash: () => {} });
    for (const name of ["far", "stays", "nobody"]) watch(name);
    const unwatch = watch("quiet");
    await time.pass(10);
    const held = [left.held.watches, right.held.watches];
    unwatch();
    await time.pass(10);
    for (const name of ["far", "quiet"]) left.send(right.address(name), unload, outside);
    await time.pass(10);
    two.part();
    await time.pass(10);
    expect({ ends, held, after: [left.held.watches, right.held.watches] }).toEqual({
      ends: [
        "nobody lost: right/nobody is not there",
        "far crashed: boom",
        "stays lost: the cable was pulled",
      ],
      held: [3, 3],
      after: [0, 0],
    });
  });

  test("survive a link that is replaced", async () => {
    const two = new Two();
    const { left, right, time } = two;
    const ends: string[] = [];
    left.watch(right.spawn("far", boom), ({ why }) => ends.push(why));
    await time.pass(10);
    two.join();
    await time.pass(10);
    left.send(right.address("far"), unload, outside);
    await time.pass(10);
    expect(ends).toEqual(["boom"]);
  });

  test("T31 of one peer are bounded", async () => {
    const { left, right, time } = new Two();
    right.spawn("far", () => {});
    const ends: string[] = [];
    for (let i = 0; i < 10_000; i++) left.watch(right.address("far"), ({ why }) => ends.push(why));
    await time.pass(10);
    expect({ held: right.held.watches, refused: ends.length, why: ends[0] }).toEqual({
      held: 4096,
      refused: 5904,
      why: "4096 watches are the most that one node may have here",
    });
  });

  test("bind two actors: neither outlives the other's crash, and a stop in order leaves the other be", async () => {
    const { left, time } = new Two();
    const crashes: string[] = [];
    const onCrash = (error: unknown) => crashes.push(String(error));
    for (const name of ["a", "b", "c", "d"]) left.spawn(name, boom, { onCrash });
    left.link(left.address("a"), left.address("b"));
    left.link(left.address("c"), left.address("d"));
    left.send(left.address("a"), { type: "x" }, outside);
    left.stop(left.address("c"));
    await time.pass(10);
    expect({
      crashes,
      lives: ["a", "b", "c", "d"].filter((name) => left.counts(left.address(name))),
    }).toEqual({
      crashes: ["Error: left/a, to which it is linked, ended: boom", "Error: boom"],
      lives: ["d"],
    });
  });
});

describe("a full mailbox", () => {
  test("refuses, drops the oldest, or makes senders wait, as its actor says, and counts it", async () => {
    const { left, time } = new Two();
    const seen: string[] = [];
    const note = ({ message }: { message: AnyMessage }) => seen.push(message.type);
    const refusing = left.spawn("refusing", note, { mailbox: 2 });
    const dropping = left.spawn("dropping", note, { mailbox: 2, whenFull: "dropOldest" });
    const pressing = left.spawn("pressing", note, { mailbox: 2, whenFull: "backpressure" });
    const tell = (to: Address) =>
      ["1", "2", "3"].map((type) => left.send(to, { type: `${to} ${type}` }, outside));
    const taken = [tell(refusing), tell(dropping), tell(pressing)];
    let roomy = false;
    void left.room(pressing)?.then(() => (roomy = true));
    await time.pass(1);
    expect({
      taken,
      seen,
      roomy,
      counts: [refusing, dropping, pressing].map((each) => left.counts(each)),
    }).toEqual({
      taken: [
        [true, true, false],
        [true, true, true],
        [true, true, false],
      ],
      seen: [
        "left/refusing 1",
        "left/refusing 2",
        "left/dropping 2",
        "left/dropping 3",
        "left/pressing 1",
        "left/pressing 2",
      ],
      roomy: true,
      counts: [
        { waiting: 0, handled: 2, refused: 1, dropped: 0 },
        { waiting: 0, handled: 2, refused: 0, dropped: 1 },
        { waiting: 0, handled: 2, refused: 1, dropped: 0 },
      ],
    });
  });

  test("fails questions as overloaded, from here and from another node", async () => {
    const { left, right, time } = new Two();
    right.spawn("full", () => {}, { mailbox: 0 });
    left.spawn("full", () => {}, { mailbox: 0 });
    const asked = [right, left].map((system) =>
      left.ask(system.address("full"), unload, outside, 1000).catch(kindOf),
    );
    await time.pass(10);
    expect(await Promise.all(asked)).toEqual([
      "overloaded: right/full has 0 messages waiting and takes no more",
      "overloaded: left/full has 0 messages waiting and takes no more",
    ]);
  });
});

describe("a question", () => {
  test("fails when its deadline passes; the answer that comes after is dropped and nothing is left", async () => {
    const { left, right, time } = new Two();
    right.spawn("slow", ({ reply }) => void time.after(100, () => reply(unload)));
    const failed = left.ask(right.address("slow"), unload, outside, 50).catch(kindOf);
    await time.pass(200);
    expect({ failed: await failed, held: left.held }).toEqual({
      failed: "unavailable: right/slow did not answer ShardWorker.Unload within 50 ms",
      held: { questions: 0, late: 1, watches: 0 },
    });
  });

  test("fails at once when who was asked ends, is not there, or its link ends", async () => {
    const two = new Two();
    const { left, right, time } = two;
    right.spawn("silent", () => {});
    left.spawn("dying", boom, { onCrash: () => {} });
    const ask = (to: Address) => left.ask(to, unload, outside, 60_000).catch(kindOf);
    left.send(left.address("dying"), { type: "x" }, outside);
    const asked = [ask(left.address("dying")), ask(right.address("nobody")), ask(right.address("silent"))];
    await time.pass(10);
    two.part();
    await time.pass(10);
    expect({ asked: await Promise.all(asked), held: left.held.questions }).toEqual({
      asked: [
        "unavailable: left/dying ended before it answered: boom",
        "unavailable: right/nobody is not there",
        "unavailable: right/silent did not answer: the cable was pulled",
      ],
      held: 0,
    });
  });

  test("T27 is answered only by who was asked", async () => {
    const { left, right, time } = new Two();
    right.spawn("asked", ({ reply }) => void time.after(5, () => reply(unload)));
    const asked = left.ask(right.address("asked"), unload, outside, 1000);
    const forged = ShardWorker.Cancel({ request: "forged" as never });
    const evil: Transport = { send: () => true, onReceive: () => {}, onClose: () => {}, close: () => {} };
    left.connect("evil", evil);
    evil.onReceive({ to: outside, from: "evil/x" as Address, re: 1, message: forged });
    evil.onReceive({ to: outside, from: right.address("asked"), re: 1, message: forged });
    evil.onReceive({ to: right.address("asked"), from: "evil/x" as Address, message: forged });
    await time.pass(20);
    expect(await asked).toEqual(unload);
  });
});
