import { expect, test } from "bun:test";
import type { Clock } from "#actors/runtime/clock";
import type { NodeId } from "#protocol/ids";
import { BURST_BYTES_MAX } from "./burst.ts";
import { LinkMeter } from "./meter.ts";

const [me, peer, other] = ["b", "c", "a"] as [NodeId, NodeId, NodeId];

/** A meter on a clock that stands where it is put, at rest unless told otherwise. */
const meterAt = (nowMs: { value: number }, busy = false): LinkMeter =>
  meterOn(clockAt(nowMs), async () => busy);

const clockAt = (nowMs: { value: number }): Clock => ({
  nowMs: () => nowMs.value,
  epochSeconds: () => 0,
  after: () => () => {},
  freshId: () => "id",
});

function meterOn(clock: Clock, busy: () => Promise<boolean>): LinkMeter {
  return new LinkMeter({
    self: me,
    clock,
    send: () => true,
    ask: () => Promise.reject(new Error("nobody is asked here")),
    openData: () => Promise.reject(new Error("nothing is opened here")),
    busy,
    changed: () => {},
  });
}

const reason = (answer: object): string => ("reason" in answer ? String(answer.reason) : "allowed");

test("one burst at a time, from who was allowed, and no more than one has", async () => {
  const now = { value: 0 };
  const meter = meterAt(now);
  const unasked = meter.part(peer, "x", 10);
  const answers = [await meter.allow(peer, "x"), await meter.allow(other, "y")];
  const parts = [meter.part(peer, "x", 1000), meter.part(other, "x", 10), meter.part(peer, "z", 10)];
  const tooMuch = meter.part(peer, "x", BURST_BYTES_MAX);
  expect([
    unasked,
    ...answers.map(reason),
    ...parts,
    tooMuch,
    meter.expects(peer),
    meter.expects(other),
  ]).toEqual([false, "allowed", "another link is being measured", true, false, false, false, true, false]);
});

test("what came is told once, to who sent it", async () => {
  const now = { value: 0 };
  const meter = meterAt(now);
  await meter.allow(peer, "x");
  for (const atMs of [1, 2, 3, 4]) {
    now.value = atMs;
    meter.part(peer, "x", 1000);
  }
  expect([meter.ended(other, "x"), meter.ended(peer, "x"), meter.ended(peer, "x")].map(told)).toEqual([
    "no such burst",
    "4000 bytes, 1000000 a second",
    "no such burst",
  ]);
});

const told = (answer: ReturnType<LinkMeter["ended"]>): string =>
  answer.type === "TopologyReply.BurstReceived"
    ? `${answer.bytes} bytes, ${answer.bytesPerSecond} a second`
    : reason(answer);

test("a node that works refuses, and so does one that is asked again at once", async () => {
  const now = { value: 0 };
  const [working, resting] = [meterAt(now, true), meterAt(now)];
  const first = [await working.allow(peer, "x"), await resting.allow(peer, "x")];
  resting.ended(peer, "x");
  const again = await resting.allow(peer, "y");
  now.value = 1000;
  expect([...first, again, await resting.allow(peer, "z")].map(reason)).toEqual([
    "this node works",
    "allowed",
    "too soon after the last one",
    "allowed",
  ]);
});

test("a bug in a measurement is the crash of the part whose clock it is, not of the process", async () => {
  const bug = new Error("a bug");
  const thrown = Promise.withResolvers<unknown>();
  const clock: Clock = {
    ...clockAt({ value: 10_000 }),
    after(_, run) {
      try {
        run();
      } catch (error) {
        thrown.resolve(error);
      }
      return () => {};
    },
  };
  const meter = meterOn(clock, () => Promise.reject(bug));
  meter.table.up(peer, { remote: "10.0.0.2" }, 0);
  meter.linkDown(other);
  expect(await thrown.promise).toBe(bug);
});
