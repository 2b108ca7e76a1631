/** Whether a model that one machine could hold by itself is better placed in the home. */
import { expect, test } from "bun:test";
import type { NodeId } from "#protocol/ids";
import type { MeasuredSpeeds } from "#protocol/speeds";
import type { FakeMachine } from "./fake-machine.ts";
import { MODEL } from "./model.ts";
import { World } from "./world.ts";

const speeds = (bytesPerSecond: number): MeasuredSpeeds[] => [
  {
    ...{ architecture: "llama", quantisation: "float32", layerBytes: 100e6, bytesPerSecond },
    ...{ flopsPerSecond: 1e12, layerMs: 0.03, stepMs: 0.2, together: [] },
  },
];

/** What who leads answers to a, which leads itself; b is so much faster than a. */
async function asked(factor: number, changes: Record<string, Partial<FakeMachine>> = {}): Promise<unknown> {
  const home = new World("a", "b");
  home.machine("a").speeds = speeds(10e9);
  home.machine("b").speeds = speeds(factor * 10e9);
  for (const [name, change] of Object.entries(changes)) Object.assign(home.machine(name), change);
  const answer = home.coordinator.faster("a" as NodeId, { model: MODEL, settings: { kvQuant: "f16" } });
  await Promise.all([answer.catch(() => {}), home.settle(30_000)]);
  return await answer.then(
    ({ isFaster }) => [isFaster, home.shown],
    (error: Error) => error.message,
  );
}

test("a machine that is twice as fast is, a little faster one is not, and nothing is placed by the question", async () => {
  expect([await asked(2.5), await asked(1.3), await asked(0.3)]).toEqual([
    [true, ""],
    [false, ""],
    [false, ""],
  ]);
});

test("who has no room, lacks the model, is left out, or does not answer in time is not", async () => {
  const seen = [
    await asked(4, { b: { freeBytes: 1e6 } }),
    await asked(4, { b: { has: { kind: "notFound", message: "not here" } } }),
    await asked(4, { b: { drained: true } }),
    await asked(4, { b: { isDeaf: true } }),
  ];
  expect(seen).toEqual(Array(4).fill([false, ""]));
});

test("a machine that takes no part itself is told of any other", async () => {
  expect(await asked(0.5, { a: { drained: true } })).toEqual([true, ""]);
});
