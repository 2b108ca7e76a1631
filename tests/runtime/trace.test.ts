/** What is kept of the messages between actors. */
import { describe, expect, test } from "bun:test";
import { setup } from "xstate";
import { chartBehaviour } from "#actors/runtime/chart";
import { Trace } from "#actors/runtime/trace";
import type { Address } from "#protocol/ids";
import { ShardWorker } from "#protocol/shard-worker";
import { listener, Two } from "./two.ts";

const outside = "left/outside" as Address;

describe("a trace", () => {
  async function run(): Promise<Two> {
    const two = new Two();
    const { left, right, time } = two;
    right.spawn("echo", ({ reply, message }) => reply(message));
    const sink = listener(left, "sink").address;
    const secret = "tell nobody of this prompt";
    for (let i = 0; i < 5; i++) {
      left.send(sink, ShardWorker.Cancel({ request: secret as never }), outside);
      await time.pass(3);
    }
    return two;
  }

  test("holds each message with its time and no field of any (T17), and one run has one digest", async () => {
    const [one, two] = [await run(), await run()];
    const lines = one.trace.dump().trim().split("\n");
    expect({
      second: lines.slice(3, 5),
      secrets: one.trace.dump().includes("nobody"),
      same: one.trace.digest === two.trace.digest && one.trace.dump() === two.trace.dump(),
      count: one.trace.count,
    }).toEqual({
      second: [
        '{"ms":0,"kind":"handled","actor":"left/sink","peer":"left/outside","what":"ShardWorker.Cancel"}',
        '{"ms":3,"kind":"sent","actor":"left/outside","peer":"left/sink","what":"ShardWorker.Cancel"}',
      ],
      secrets: false,
      same: true,
      count: 12,
    });
  });

  test("is a ring: what is old gives way", () => {
    const trace = new Trace({ nowMs: () => 0, entries: 3 });
    for (const what of ["1", "2", "3", "4", "5"]) trace.note("sent", "a", "b", what);
    expect(trace.entries.map(({ what }) => what)).toEqual(["3", "4", "5"]);
  });

  test("holds the states that a chart enters, beside the messages that led there", async () => {
    const { left, trace, time } = new Two();
    const door = setup({ types: { events: {} as { type: "open" | "close" } } }).createMachine({
      initial: "closed",
      states: { closed: { on: { open: "ajar" } }, ajar: { on: { close: "closed" } } },
    });
    const address = left.address("door");
    left.spawn(
      "door",
      chartBehaviour(door, () => {}, { trace, address }),
    );
    for (const type of ["open", "open", "close"]) left.send(address, { type }, outside);
    await time.pass(1);
    const entered = trace.entries.filter(({ kind }) => kind === "entered" || kind === "handled");
    expect(entered.map(({ kind, what }) => `${kind} ${what}`)).toEqual([
      "entered closed",
      "handled open",
      "entered ajar",
      "handled open",
      "handled close",
      "entered closed",
    ]);
  });
});
