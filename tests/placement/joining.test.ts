/** Workers that are loaded are told of each other: what becomes of a model whose workers cannot be, for a while or at all. */
import { expect, test } from "bun:test";
import { Problem } from "#protocol/problem";
import { World } from "./world.ts";

test.each([
  [
    "out of reach for a while stay, and meet later",
    "unavailable",
    "loading a:0-2 b:2-4",
    "ready a:0-2 b:2-4",
    1,
  ],
  ["not made for each other are given up", "invalid", "failed: not now", "failed: not now", 4],
] as const)("workers that are %s", async (_, kind, during, after, epoch) => {
  const world = new World("a", "b");
  world.joining = Promise.reject(new Problem(kind, "not now"));
  world.joining.catch(() => {});
  await world.place({ nodes: ["a", "b"], minimumNodes: 2 });
  await world.settle(30_000);
  const before = world.shown;
  world.joining = Promise.resolve();
  await world.settle(30_000);
  expect([before, world.shown, world.instances[0]?.epoch]).toEqual([during, after, epoch]);
});

test("machines hear why their workers cannot meet; one that is lost meanwhile is done without", async () => {
  const world = new World("a", "b", "c");
  world.joining = Promise.reject(new Problem("unavailable", "not now"));
  world.joining.catch(() => {});
  await world.place({ minimumNodes: 2 });
  await world.settle(5_000);
  const before = [world.shown, world.machine("b").unmet];
  world.joining = Promise.resolve();
  await world.is("b", "dead");
  await world.settle(5_000);
  expect([before, world.shown, world.machine("a").unmet]).toEqual([
    ["loading a:0-2 b:2-4", "not now"],
    "ready a:0-2 c:2-4",
    undefined,
  ]);
});

test("workers that do not meet for minutes are placed anew, and then given up with the reason", async () => {
  const world = new World("a", "b");
  world.joining = Promise.reject(new Problem("unavailable", "not now"));
  world.joining.catch(() => {});
  await world.place({ nodes: ["a", "b"], minimumNodes: 2 });
  await world.settle(100_000);
  const before = [world.shown, world.instances[0]?.epoch];
  await world.settle(9 * 60_000);
  const met = (each: string) => each.includes("cannot meet yet: not now");
  expect([before, world.shown, world.said.filter(met).length]).toEqual([
    ["loading a:0-2 b:2-4", 1],
    "failed: not now",
    3,
  ]);
});
