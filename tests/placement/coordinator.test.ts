/** Who leads places a model and looks after it, in a home whose log and machines are the test's. */
import { expect, test } from "bun:test";
import type { ProblemBody } from "#protocol/problem";
import { checkpoint } from "./model.ts";
import { World } from "./world.ts";

const BROKE: ProblemBody = { kind: "unavailable", message: "the worker ended" };
const FULL: ProblemBody = { kind: "doesNotFit", message: "no memory" };

test("a model is loaded by all of its machines, joined, and ready", async () => {
  const world = new World("a", "b");
  const notes = await world.place({ nodes: ["a", "b"] });
  const [record] = world.instances;
  expect({
    notes,
    shown: world.shown,
    said: world.said,
    workers: record?.stages.map(({ worker }) => worker),
  }).toEqual({
    notes: [],
    shown: "ready a:0-2 b:2-4",
    said: ["a joins 2", "b joins 2"],
    workers: ["a/worker-1", "b/worker-1"] as never,
  });
});

test("one machine that cannot load its part ends the whole placement, and says why", async () => {
  const world = new World("a", "b");
  world.machine("b").outcome = FULL;
  await world.place({ nodes: ["a", "b"] });
  await world.settle(1000);
  const [first] = world.instances;
  world.machine("b").outcome = "loads";
  const refused = await world.place({ nodes: ["a", "b"] });
  expect([world.shown, first?.state, String(refused)]).toEqual([
    expect.stringMatching(
      /^failed: no memory; no plan fits m .* 2 machines are needed, 1 can take part; b is left out for 60 s: no memory$/,
    ),
    "failed",
    expect.stringContaining("b is left out for 59 s: no memory"),
  ]);
});

test("a machine that is not asked for by name gives way to another when it cannot load", async () => {
  const world = new World("a", "b", "c");
  world.machine("b").outcome = FULL;
  await world.place({ minimumNodes: 2 });
  await world.settle(1000);
  expect([world.shown, world.instances[0]?.epoch]).toEqual(["ready a:0-2 c:2-4", 2]);
});

test("machines that do not answer keep nobody waiting for longer than who asked waits", async () => {
  const home = new World("a", "b", "c");
  home.machine("a").has = { kind: "notFound", message: "not here" };
  for (const name of ["b", "c"]) home.machine(name).isDeaf = true;
  const asked = home.place({ nodes: ["b"] }).then((why) => [home.time.nowMs, String(why)]);
  await home.settle(30_000);
  expect(await asked).toEqual([24_000, expect.stringContaining("no machine has m")]);
});

test("while answers wait, a machine that does not answer keeps nobody waiting, and has what it had", async () => {
  const home = new World("a", "b", "c", "d");
  home.machine("d").has = { kind: "notFound", message: "not here" };
  await home.place({ minimumNodes: 3 });
  for (const name of ["c", "d"]) home.machine(name).isDeaf = true;
  // Too little for two layers.
  home.machine("a").freeBytes = 250e6;
  await home.is("b", "dead");
  await home.settle(4_000);
  expect(home.shown).toEqual("ready c:0-4");
});

test("the loss of a machine places the model anew over those that are left, with a higher epoch", async () => {
  const world = new World("a", "b", "c");
  await world.place({ nodes: ["a", "b", "c"], minimumNodes: 3 });
  const before = world.shown;
  await world.is("b", "dead");
  const [record] = world.instances;
  expect([
    before.split(" ").length,
    world.shown.split(" ")[0],
    record?.epoch,
    /b:/.test(world.shown),
  ]).toEqual([4, "ready", 3, false]);
});

test("a worker that dies is started again with all others, three times within a minute, and then the model fails", async () => {
  const world = new World("a", "b");
  await world.place({ nodes: ["a", "b"] });
  // Neither could hold all of it: one has weights in memory, the other's worker is gone.
  world.machine("a").freeBytes = 400e6;
  world.machine("b").freeBytes = 600e6;
  const epochs: string[] = [];
  for (let death = 0; death < 4; death++) {
    await world.becomes("b", BROKE);
    await world.settle(6000);
    epochs.push(world.shown);
  }
  expect([epochs, world.said.filter((line) => line.includes("placed anew")).length]).toEqual([
    [...Array<string>(3).fill("ready a:0-2 b:2-4"), "failed: the worker ended"],
    4,
  ]);
});

test("a machine on which workers end twice within a minute gives way to another, or to fewer, where these have room", async () => {
  const shown: string[] = [];
  for (const names of [
    ["a", "b", "c"],
    ["a", "b"],
  ]) {
    const world = new World(...names);
    await world.place({ minimumNodes: 2 });
    for (let death = 0; death < 2; death++) {
      shown.push(world.shown);
      await world.becomes("b", BROKE);
      await world.settle(6000);
    }
    shown.push(world.shown);
  }
  expect(shown).toEqual([
    ...["ready a:0-2 b:2-4", "ready a:0-2 b:2-4", "ready a:0-2 c:2-4"],
    ...["ready a:0-2 b:2-4", "ready a:0-2 b:2-4", "ready a:0-4"],
  ]);
});

test("what no longer fits fails, naming what is short and what would fit", async () => {
  const world = new World("a", "b");
  for (const machine of world.machines.values()) machine.freeBytes = 850e6;
  await world.place({ nodes: ["a", "b"] });
  const before = world.shown;
  world.machine("a").freeBytes = 450e6;
  await world.is("b", "dead");
  expect([before, world.shown]).toEqual([
    "ready a:0-2 b:2-4",
    expect.stringMatching(
      /^failed: b is dead; no plan fits m with a context of 512: .* short on a.*b takes no part: not connected now$/,
    ),
  ]);
});

test("a machine that fetches its part for long is waited for while that goes on", async () => {
  const world = new World("a", "b");
  world.machine("b").outcome = undefined;
  await world.place({ nodes: ["a", "b"] });
  for (let minute = 1; minute <= 10; minute++) {
    await world.fetches("b", minute * 1e9);
    await world.settle(60_000);
  }
  const during = [world.shown, world.instances[0]?.epoch];
  await world.settle(360_000);
  expect([during, world.shown]).toEqual([
    ["loading a:0-2 b:2-4", 1],
    expect.stringMatching("nothing was heard of the part of m on one machine"),
  ]);
});

test("a new leader goes on with what the log says, also in the middle of a load", async () => {
  const world = new World("a", "b");
  world.machine("b").outcome = undefined;
  await world.place({ nodes: ["a", "b"] });
  const loading = world.shown;
  await world.newLeader();
  await world.becomes("b", "loaded");
  const ready = [world.shown, world.instances[0]?.epoch];
  await world.newLeader();
  await world.becomes("a", BROKE);
  await world.settle(1000);
  world.machine("b").outcome = "loads";
  await world.becomes("b", "loaded");
  expect([loading, ready, world.shown, world.instances[0]?.epoch]).toEqual([
    "loading a:0-2 b:2-4",
    ["ready a:0-2 b:2-4", 1],
    "ready a:0-2 b:2-4",
    3,
  ]);
});

test("a machine that was restarted has lost its part", async () => {
  const world = new World("a", "b");
  await world.place({ nodes: ["a", "b"] });
  world.machine("b").held.splice(0);
  await world.newLeader();
  expect([world.shown, world.instances[0]?.epoch]).toEqual(["ready a:0-2 b:2-4", 3]);
});

test("stopping ends the last stage first, as it needs the others for what it is doing", async () => {
  const world = new World("a", "b");
  await world.place({ nodes: ["a", "b"] });
  world.said.splice(0);
  await world.release();
  expect([world.said, world.shown]).toEqual([["b ends", "a ends"], ""]);
});

test("a machine with another copy takes no part and is named; one without any is given a part only where it is needed", async () => {
  const world = new World("a", "b", "c", "d");
  const parts = { ...checkpoint.parts, tensors: "others" };
  world.machine("c").has = { ...checkpoint, digest: "other", quantisation: "4-bit affine, group 32", parts };
  world.machine("d").has = { kind: "notFound", message: "nothing here" };
  const notes = await world.place({ minimumNodes: 2 });
  const refused = await new World("a").place({ nodes: ["a", "z"] });
  const missing = new World("a", "b");
  missing.machine("b").has = { kind: "notFound", message: "nothing here" };
  const fetched = await missing.place({ nodes: ["a", "b"] });
  const nowhere = new World("a", "b");
  for (const each of nowhere.machines.values()) each.has = { kind: "notFound", message: "nothing here" };
  expect([
    notes,
    world.shown,
    refused,
    [fetched, missing.shown],
    await nowhere.place({ nodes: ["a", "b"] }),
  ]).toEqual([
    [
      "c has another m than a: the tensors of the two differ (4-bit affine, group 32 and float32)",
      "d does not have m",
    ],
    "ready a:0-2 b:2-4",
    "no machine of this home is called z",
    [[], "ready a:0-2 b:2-4"],
    "no machine has m; a does not have m; b does not have m",
  ]);
});

test("how much of a context is kept, and how, is decided once: it counts, stands in the log, and stays", async () => {
  const long = { ...checkpoint, shape: { ...checkpoint.shape, contextLength: 4_000_000 } };
  const homes = [new World("a", "b"), new World("a", "b")] as const;
  for (const { machines } of homes)
    for (const machine of machines.values()) Object.assign(machine, { has: long, freeBytes: 2e9 });
  const [floats, bytes] = homes;
  const alone = { strategy: "single" } as const;
  const refused = await floats.place(alone, { kvQuant: "f16", contextLength: 2_000_000 });
  const settings = { kvQuant: "q8", contextLength: 2_000_000 } as const;
  await bytes.place(alone, settings);
  const before = bytes.instances[0];
  await bytes.is(before?.stages[0]?.node ?? "", "dead");
  const after = bytes.instances[0];
  expect({
    refused,
    before: before?.settings,
    after: after?.settings,
    epochs: [before?.epoch, after?.epoch],
  }).toEqual({
    refused: expect.stringContaining("no plan fits m with a context of 2000000"),
    before: settings,
    after: settings,
    epochs: [1, 3],
  });
});

test("a machine that is named and has nothing gets a model that only others have, who take no part", async () => {
  const world = new World("a", "b", "c");
  for (const name of ["a", "b"]) world.machine(name).has = { kind: "notFound", message: "nothing here" };
  const notes = await world.place({ nodes: ["b"] });
  expect([notes, world.shown]).toEqual([[], "ready b:0-4"]);
});

test("machines that are asked to share every layer are its ranks; a number that the model does not divide by is refused", async () => {
  const divisible = { ...checkpoint.shape, divisions: [{ what: "attention heads", size: 4, piece: 1 }] };
  const world = new World("a", "b", "c");
  for (const name of ["a", "b", "c"]) world.machine(name).has = { ...checkpoint, shape: divisible };
  const refused = await world.place({ nodes: ["a", "b", "c"], strategy: "tensor" });
  await world.place({ nodes: ["a", "b"], strategy: "tensor" });
  const [record] = world.instances;
  const ranks = record?.stages.map(({ node, layers, rank }) => [
    String(node),
    layers.start,
    layers.end,
    rank,
  ]);
  await world.is("b", "dead");
  expect([String(refused), ranks, world.shown]).toEqual([
    expect.stringContaining("tensor over 3: 4 attention heads do not divide by 3"),
    [
      ["a", 0, 4, 0],
      ["b", 0, 4, 1],
    ],
    "ready a:0-4",
  ]);
});

test("where no machine is lost, each gets the layers that it had, also where others would be cut otherwise now", async () => {
  const world = new World("a", "b");
  for (const machine of world.machines.values()) machine.freeBytes = 700e6;
  await world.place({ nodes: ["a", "b"] });
  const before = world.shown;
  world.machine("a").freeBytes = 4e9;
  await world.becomes("b", BROKE);
  await world.settle(1000);
  expect([before, world.shown]).toEqual(["ready a:0-2 b:2-4", "ready a:0-2 b:2-4"]);
});
