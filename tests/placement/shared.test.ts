/** Pipelines of which ranks share a stage, in a home whose log and machines are the test's. */
import { expect, test } from "bun:test";
import { checkpoint } from "./model.ts";
import { World } from "./world.ts";

const MIXED = { strategy: "pipeline", sharedStages: true } as const;

/** Machines that have a model whose heads two ranks can share. */
function home(...names: readonly string[]): World {
  const world = new World(...names);
  const shape = { ...checkpoint.shape, divisions: [{ what: "attention heads", size: 2, piece: 1 }] };
  for (const name of names) world.machine(name).has = { ...checkpoint, shape };
  return world;
}

/** `a 0-2 0` for each part that is a rank's. */
const parts = ({ instances: [record] }: World) =>
  record?.stages.map(
    ({ node, layers: { start, end }, rank }) => `${node} ${start}-${end} ${rank ?? "whole"}`,
  );

test("two of three machines share a stage as its ranks, and the third has the other", async () => {
  const world = home("a", "b", "c");
  const notes = await world.place({ ...MIXED, nodes: ["a", "b", "c"] });
  expect([notes, parts(world), world.instances[0]?.state]).toEqual([
    [],
    ["a 0-3 0", "b 0-3 1", "c 3-4 whole"],
    "ready",
  ]);
});

test.each(["b", "c", "d"])("where %s dies, the others go on in the next epoch as they can", async (dead) => {
  const world = home("a", "b", "c", "d");
  await world.place({ ...MIXED, nodes: ["b", "c", "d"] });
  const before = world.instances[0]?.epoch ?? 0;
  await world.is(dead, "dead");
  const [record] = world.instances;
  expect([
    record?.state,
    (record?.epoch ?? 0) > before,
    record?.stages.some(({ node }) => node === dead),
    record?.wish,
  ]).toEqual(["ready", true, false, { ...MIXED, nodes: ["b", "c", "d"] }]);
});

test("where too few are left to share a stage, the others go on alike, whatever else was wished for", async () => {
  const world = home("a", "b", "c");
  await world.place({ sharedStages: true });
  const before = parts(world)?.length;
  await world.is("c", "dead");
  expect([before, world.shown]).toEqual([3, expect.stringMatching(/^ready [ab]:\S+( [ab]:\S+)?$/)]);
});

test("a machine that was linked just now is waited for, also where it takes no part: it may know such stages", async () => {
  const world = home("a", "b", "c", "d");
  world.machine("d").isNew = true;
  const placing = world.place({ ...MIXED, nodes: ["a", "b", "c"] });
  await world.settle(1_000);
  const before = world.shown;
  world.machine("d").isNew = false;
  await world.settle(1_000);
  expect([before, await placing, parts(world)?.length]).toEqual(["", [], 3]);
});

test("a machine that is off, and was since who leads began, is not waited for: only what may take part says whether it knows such stages", async () => {
  const world = home("a", "b", "c", "d");
  Object.assign(world.machine("d"), { isNew: true, state: "connecting", silentMs: 60_000 });
  const placing = world.place(MIXED);
  await world.settle(6_000);
  expect([await placing, parts(world)?.length]).toEqual([["d takes no part: not connected now"], 3]);
});

test("a machine that may be linked in a moment is waited for, as it may be too old for such stages", async () => {
  const world = home("a", "b", "c", "d");
  const d = Object.assign(world.machine("d"), { isNew: true, state: "connecting", silentMs: 1_000 });
  const placing = world.place({ ...MIXED, nodes: ["a", "b", "c"] });
  await world.settle(1_000);
  Object.assign(d, { isNew: false, state: "up", facts: { placements: undefined } });
  await world.settle(1_000);
  expect([String(await placing), world.shown]).toEqual([
    expect.stringContaining("d has an exo that is too"),
    "",
  ]);
});

test("a home with a machine that does not know such stages has none, also where it takes no part; what waits goes on without", async () => {
  const old = { facts: { placements: undefined } } as never;
  const [early, late] = [home("a", "b", "c", "d"), home("a", "b", "c", "d")];
  Object.assign(early.machine("d"), old);
  const refused = await early.place({ ...MIXED, nodes: ["a", "b", "c"] });
  await late.place({ ...MIXED, nodes: ["a", "b", "c"] });
  Object.assign(late.machine("d"), old);
  await late.is("c", "dead");
  expect([String(refused), early.shown, parts(late)?.every((part) => part.endsWith("whole"))]).toEqual([
    expect.stringContaining("can be shared in this home: d has an exo that is too old"),
    "",
    true,
  ]);
});
