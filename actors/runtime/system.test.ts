import { expect, test } from "bun:test";
import type { Envelope } from "#protocol/codec";
import type { Address } from "#protocol/ids";
import { type Clock, systemClock } from "./clock.ts";
import { ActorSystem } from "./system.ts";
import type { Transport } from "./transport/transport.ts";

/** A clock whose timers fire by hand. */
function handClock(): Clock & { fire(): void } {
  let timers: (() => void)[] = [];
  return {
    ...systemClock,
    after(_ms, run) {
      timers.push(run);
      return () => {
        timers = timers.filter((timer) => timer !== run);
      };
    },
    fire: () => {
      for (const timer of timers.splice(0)) timer();
    },
  };
}

const outside = "node/outside" as Address;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test("messages reach an actor in the order they were sent", async () => {
  const system = new ActorSystem("node", systemClock);
  const seen: string[] = [];
  const actor = system.spawn("a", ({ message }) => seen.push(message.type));
  const sent = Array.from({ length: 1000 }, (_, i) => `m${i}`);
  for (const type of sent) system.send(actor, { type }, outside);
  while (seen.length < sent.length) await turn();
  expect(seen).toEqual(sent);
});

test("a full mailbox refuses, and what it holds is not lost", async () => {
  const system = new ActorSystem("node", systemClock);
  const seen: string[] = [];
  const actor = system.spawn("a", ({ message }) => seen.push(message.type), { mailbox: 2 });
  const taken = ["1", "2", "3"].map((type) => system.send(actor, { type }, outside));
  await turn();
  expect({ taken, seen }).toEqual({ taken: [true, true, false], seen: ["1", "2"] });
});

test("an ask is answered by the actor's reply", async () => {
  const system = new ActorSystem("node", systemClock);
  const actor = system.spawn("a", ({ reply, message }) => reply({ type: `re ${message.type}` }));
  expect(await system.ask(actor, { type: "hello" }, outside, 1000)).toEqual({ type: "re hello" });
});

test("an ask that nobody answers ends by its deadline", async () => {
  const clock = handClock();
  const system = new ActorSystem("node", clock);
  const actor = system.spawn("a", () => {});
  const asked = system.ask(actor, { type: "hello" }, outside, 50);
  clock.fire();
  expect(await asked.catch((error: Error) => error.message)).toBe("node/a did not answer hello within 50 ms");
});

test("an ask to nobody fails at once", async () => {
  const system = new ActorSystem("node", handClock());
  const asked = system.ask("node/nobody" as Address, { type: "hello" }, outside, 50);
  expect(await asked.catch((error: Error) => error.message)).toBe("node/nobody does not take hello now");
});

test("an actor that throws stops, and its supervision hears why", async () => {
  const system = new ActorSystem("node", systemClock);
  const crashes: unknown[] = [];
  const actor = system.spawn(
    "a",
    () => {
      throw new Error("boom");
    },
    { onCrash: (error) => crashes.push(error) },
  );
  system.send(actor, { type: "x" }, outside);
  await turn();
  expect({ crashes: crashes.map(String), takes: system.send(actor, { type: "y" }, outside) }).toEqual({
    crashes: ["Error: boom"],
    takes: false,
  });
});

/** Two systems joined in memory, as a child process joins its parent. */
function joined(): [ActorSystem, ActorSystem] {
  const [left, right] = [new ActorSystem("left", systemClock), new ActorSystem("right", systemClock)];
  const ends: [Transport, Transport] = [end(() => ends[1]), end(() => ends[0])];
  left.connect("right", ends[0]);
  right.connect("left", ends[1]);
  return [left, right];
}

function end(other: () => Transport): Transport {
  return {
    send(envelope: Envelope) {
      queueMicrotask(() => other().onReceive(envelope));
      return true;
    },
    onReceive: () => {},
    onClose: () => {},
    close: () => {},
  };
}

test("an ask crosses a link and its answer comes back", async () => {
  const [left, right] = joined();
  const far = right.spawn("far", ({ reply }) => reply({ type: "here" }));
  expect(await left.ask(far, { type: "where" }, "left/me" as Address, 1000)).toEqual({ type: "here" });
});
