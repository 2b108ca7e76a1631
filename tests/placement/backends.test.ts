/** By what ranks add up where several Macs are joined by cables, in a home whose log and machines are the test's. */
import { expect, test } from "bun:test";
import { type Cable, macs, THREE } from "../planner/macs.ts";
import { checkpoint } from "./model.ts";
import { World } from "./world.ts";

/** A home of Macs whose model divides by two and three. */
function homeOf(names: readonly string[], cables: readonly Cable[]) {
  const world = new World(...names);
  const divisions = [{ what: "attention heads", size: 6, piece: 1 }];
  for (const { name, facts } of macs(names, cables)) {
    const { freeBytes: _, ...others } = facts;
    Object.assign(world.machine(name), {
      has: { ...checkpoint, shape: { ...checkpoint.shape, divisions } },
      facts: others,
    });
  }
  return world;
}

const waysOf = ({ instances: [record] }: World) =>
  record?.stages.map(({ node, way }) => [String(node), way?.devices, way?.host]);

test("ranks of Macs that are all joined add up by jaccl, which stands in the log and is said; with --backend ring they do not", async () => {
  const names = ["a", "b", "c"];
  const [direct, plain] = [homeOf(names, THREE), homeOf(names, THREE)];
  const notes = [
    await direct.place({ nodes: names, strategy: "tensor" }),
    await plain.place({ nodes: names, backend: "ring" }),
  ];
  expect([notes, direct.shown, waysOf(direct), waysOf(plain)]).toEqual([
    [["sums go by jaccl, unencrypted along the Thunderbolt cables"], []],
    "ready a:0-4 b:0-4 c:0-4",
    [
      ["a", [null, "rdma_en2", "rdma_en3"], "10.0.0.1"],
      ["b", ["rdma_en2", null, "rdma_en3"], "10.0.0.1"],
      ["c", ["rdma_en3", "rdma_en2", null], "10.0.0.1"],
    ],
    names.map((name) => [name, undefined, undefined]),
  ]);
});

test("jaccl is refused with the pair that no cable joins, and placed on those that are joined where fewer will do", async () => {
  const cables: readonly Cable[] = [[0, 2]];
  const refused = await homeOf(["a", "b", "c"], cables).place({ nodes: ["a", "b", "c"], backend: "jaccl" });
  const nccl = await homeOf(["a", "b", "c"], cables).place({ backend: "nccl" });
  const pair = homeOf(["a", "b", "c"], cables);
  await pair.place({ minimumNodes: 2, backend: "jaccl" });
  const pipeline = await homeOf(["a", "b", "c"], cables).place({ strategy: "pipeline", backend: "jaccl" });
  expect([refused, nccl, waysOf(pair), pipeline]).toEqual([
    "ranks cannot add up by jaccl: no Thunderbolt cable joins a and b; no Thunderbolt cable joins b and c",
    "ranks cannot add up by nccl: a has no CUDA device; b has no CUDA device; c has no CUDA device; no build of exo has MLX's collectives of CUDA yet",
    [
      ["a", [null, "rdma_en2"], "10.0.0.1"],
      ["c", ["rdma_en2", null], "10.0.0.1"],
    ],
    "--backend jaccl is for ranks, and --strategy pipeline has none",
  ]);
});

test("while answers wait, ranks that lost a cable add up over exo's own links", async () => {
  const world = homeOf(["a", "b"], [[0, 1]]);
  await world.place({ nodes: ["a", "b"], backend: "jaccl" });
  const before = waysOf(world);
  for (const { name, facts } of macs(["a", "b"], [])) Object.assign(world.machine(name), { facts });
  await world.becomes("b", { kind: "unavailable", message: "the worker ended with status 75" });
  await world.settle(1_000);
  expect([before?.map(([, devices]) => devices), world.shown, waysOf(world)]).toEqual([
    [
      [null, "rdma_en2"],
      ["rdma_en2", null],
    ],
    "ready a:0-4 b:0-4",
    [
      ["a", undefined, undefined],
      ["b", undefined, undefined],
    ],
  ]);
});

test("a model moves to another backend where that is wished for, on the same machines", async () => {
  const world = homeOf(["a", "b"], [[0, 1]]);
  await world.place({ nodes: ["a", "b"], backend: "ring" });
  const moved = await world.rebalance({ nodes: ["a", "b"], backend: "jaccl" });
  await world.settle(1_000);
  expect([moved, world.shown, waysOf(world)?.map(([, devices]) => devices)]).toEqual([
    true,
    "ready a:0-4 b:0-4",
    [
      [null, "rdma_en2"],
      ["rdma_en2", null],
    ],
  ]);
});

test("ranks that do not hear each other by jaccl, though all of them are well, go on over exo's own links", async () => {
  const names = ["a", "b", "c"];
  const problem = {
    kind: "unavailable",
    message: "rank 1 of 3 waited 30 s for the sums of the others",
  } as const;
  const waysAfter: unknown[] = [];
  for (const why of ["parted", "waited"] as const) {
    const world = homeOf(names, THREE);
    await world.place({ nodes: names, backend: "jaccl" });
    await world.fails("b", { problem, [why]: true });
    await world.settle(20_000);
    const after = [world.shown, waysOf(world), world.instances[0]?.wish.backend];
    const said = world.said.filter((line) => line.includes("jaccl"));
    await world.release();
    await world.place({ nodes: names, backend: "jaccl" });
    waysAfter.push([...after, said, waysOf(world)?.[0]?.[1]]);
  }
  const bare = names.map((name) => [name, undefined, undefined]);
  const said =
    "the ranks of m did not hear each other by jaccl: they add up over exo's own links until it is stopped and asked for again";
  expect(waysAfter).toEqual(
    Array(2).fill(["ready a:0-4 b:0-4 c:0-4", bare, "jaccl", [said], [null, "rdma_en2", "rdma_en3"]]),
  );
});

test("a worker that crashed is no reason to leave jaccl, nor is a machine that is out of reach", async () => {
  const names = ["a", "b", "c"];
  const [crash, away] = [homeOf(names, THREE), homeOf(names, THREE)];
  for (const world of [crash, away]) await world.place({ nodes: names, minimumNodes: 2, backend: "jaccl" });
  await crash.becomes("b", { kind: "unavailable", message: "the worker was ended by SIGKILL" });
  await away.is("c", "suspect");
  await away.parts("b");
  await Promise.all([crash, away].map((world) => world.settle(20_000)));
  const shown = [crash, away].map((world) => waysOf(world)?.every(([, devices]) => devices !== undefined));
  expect(shown).toEqual([true, true]);
});
