/** A model that is ready moves to where it is faster, and stays where nothing is gained. */
import { expect, test } from "bun:test";
import type { MeasuredSpeeds } from "#protocol/speeds";
import { World } from "./world.ts";

const speeds = (bytesPerSecond: number): MeasuredSpeeds[] => [
  {
    ...{ architecture: "llama", quantisation: "float32", layerBytes: 100e6, bytesPerSecond },
    ...{ flopsPerSecond: 1e12, layerMs: 0.03, stepMs: 0.2, together: [] },
  },
];

function world() {
  const made = new World("a", "b", "c");
  for (const name of ["a", "b", "c"]) made.machine(name).speeds = speeds(10e9);
  return made;
}

test("a machine that has become much faster takes a part over, a little faster one does not", async () => {
  const home = world();
  await home.place({ minimumNodes: 2 });
  const before = home.shown;
  home.machine("c").speeds = speeds(10.5e9);
  const little = await home.rebalance();
  const stayed = home.shown === before;
  home.machine("c").speeds = speeds(40e9);
  const much = await home.rebalance();
  expect([before, little, stayed, much, home.shown]).toEqual([
    "ready a:0-2 b:2-4",
    false,
    true,
    true,
    expect.stringMatching(/^ready ([ab]:0-1 c:1-4|c:0-3 [ab]:3-4)$/),
  ]);
});

test("machines that are named are used whatever is gained, from then on", async () => {
  const home = world();
  await home.place({ nodes: ["a", "b"] });
  const same = await home.rebalance({ nodes: ["b", "a"], minimumNodes: 2 });
  const wish = home.instances[0]?.wish;
  const moved = await home.rebalance({ nodes: ["b", "c"] });
  const shown = home.shown;
  await home.is("b", "dead");
  expect([same, wish, moved, shown, home.shown, home.instances[0]?.wish]).toEqual([
    false,
    { nodes: ["b", "a"], minimumNodes: 2 },
    true,
    expect.stringMatching(/^ready (b:0-2 c:2-4|c:0-2 b:2-4)$/),
    "ready c:0-4",
    { nodes: ["b", "c"] },
  ]);
});

test("what is not ready, not there, or does not fit is refused, and what is there stays", async () => {
  const home = world();
  const nothing = await home.rebalance();
  home.machine("b").outcome = undefined;
  await home.place({ nodes: ["a", "b"] });
  const early = await home.rebalance();
  await home.becomes("b", "loaded");
  home.machine("c").freeBytes = 1e6;
  const small = await home.rebalance({ nodes: ["c"] });
  expect([nothing, early, String(small), home.shown]).toEqual([
    "no machines hold m together",
    "m is not ready yet: it is loading",
    expect.stringContaining("c by itself"),
    "ready a:0-2 b:2-4",
  ]);
});
