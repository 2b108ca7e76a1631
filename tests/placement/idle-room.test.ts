/** Idle models give way to what the home places, wherever they are held, and whenever it is placed: never those that are used, or placed themselves. */
import { expect, test } from "bun:test";
import type { NodeId } from "#protocol/ids";
import { MODEL, speeds } from "./model.ts";
import { World } from "./world.ts";

const WISHES = { nodes: ["a", "b"], minimumNodes: 2 };
/** Free memory in which half of the model fits, with what a machine keeps free; all of it does not. */
const ROOM = 650e6;
/** What an idle model has of that. */
const HALF = 330e6;
const FULL = ROOM - HALF;
/** Of all of it. */
const WEIGHTS = 400e6;
/** In which all of it fits, once. */
const WHOLE = 850e6;
const IDLE_MS = 700_000;

/** Machines with room for half a model each, but for those that are named: they have none. */
function homeOf(names: readonly string[], full: readonly string[]): World {
  const world = new World(...names);
  for (const [name, machine] of world.machines) machine.freeBytes = full.includes(name) ? FULL : ROOM;
  return world;
}

const models = ({ instances }: World) => instances.map(({ model }) => model);
const gaveWay = ({ said }: World) => said.filter((line) => line.includes("was stopped for"));

test("a model that one machine holds by itself gives way to one that is placed on several", async () => {
  const world = homeOf(["a", "b"], ["b"]);
  world.machine("b").alone = [{ model: "sea", bytes: HALF, idleMs: IDLE_MS }];
  const notes = await world.place(WISHES);
  expect([notes, world.shown, gaveWay(world)]).toEqual([
    ["sea on b was stopped for it, as nobody asked it anything"],
    "ready a:0-2 b:2-4",
    ["sea on b was stopped for m, as nobody asked it anything"],
  ]);
});

test("what gave way is counted as free before its machine tells so, and not twice once it does", async () => {
  const shown: unknown[] = [];
  for (const tellsLate of [true, false]) {
    const world = homeOf(["a", "b"], ["b"]);
    Object.assign(world.machine("b"), { tellsLate, alone: [{ model: "sea", bytes: HALF, idleMs: IDLE_MS }] });
    await world.place(WISHES);
    shown.push(world.shown);
  }
  const world = homeOf(["a", "b"], []);
  await world.place(WISHES, undefined, "old");
  await world.settle(6000);
  for (const machine of world.machines.values()) machine.freeBytes = FULL;
  for (const name of ["a", "b"]) await world.idles(name, true);
  await world.place(WISHES);
  expect([shown, world.shown, models(world)]).toEqual([
    ["ready a:0-2 b:2-4", "ready a:0-2 b:2-4"],
    "ready a:0-2 b:2-4",
    ["m"],
  ]);
});

test("one that is used stays, and who asks hears where it could be stopped", async () => {
  const world = homeOf(["a", "b"], ["b"]);
  world.machine("b").alone = [{ model: "sea", bytes: HALF }];
  expect([await world.refusal(WISHES, "m"), world.machine("b").alone]).toEqual([
    "it fits once sea is stopped on b: exo stop sea",
    [{ model: "sea", bytes: HALF }],
  ]);
});

test("one that is asked again before it is stopped stays, and the rest with it", async () => {
  const world = homeOf(["a", "b"], ["a", "b"]);
  const [a, b] = [world.machine("a"), world.machine("b")];
  a.alone = [{ model: "sea", bytes: HALF, idleMs: IDLE_MS + 1 }];
  b.alone = [{ model: "dune", bytes: HALF, idleMs: IDLE_MS }];
  a.givesWay = async () => {
    a.alone = [{ model: "sea", bytes: HALF }];
  };
  const refused = await world.place(WISHES);
  expect([refused, a.alone.length, b.alone.length, gaveWay(world)]).toEqual([
    expect.stringMatching(/^no plan fits m/),
    1,
    1,
    [],
  ]);
});

test("a placed one that is asked again before who leads heard of it stays, and the rest with it", async () => {
  const world = homeOf(["a", "b"], []);
  await world.place(WISHES, undefined, "old");
  for (const machine of world.machines.values()) Object.assign(machine, { freeBytes: FULL, partBytes: HALF });
  for (const name of ["a", "b"]) await world.idles(name, true);
  await world.settle(10_000);
  // The last stage's machine has all requests.
  world.machine("b").isAsked = true;
  const refused = await world.place(WISHES);
  expect([refused, world.shown, gaveWay(world)]).toEqual([
    expect.stringMatching(/^no plan fits m/),
    "ready a:0-2 b:2-4",
    [],
  ]);
});

test("what was asked longest ago goes first, whoever holds it", async () => {
  const gone: unknown[] = [];
  for (const aloneMs of [IDLE_MS, 1_000]) {
    const world = homeOf(["a", "b"], []);
    await world.place(WISHES, undefined, "old");
    for (const machine of world.machines.values())
      Object.assign(machine, { freeBytes: FULL, partBytes: HALF });
    world.machine("a").freeBytes = ROOM;
    await world.settle(6000);
    for (const name of ["a", "b"]) await world.idles(name, true);
    await world.settle(10_000);
    world.machine("b").alone = [{ model: "sea", bytes: HALF, idleMs: aloneMs }];
    await world.place(WISHES);
    gone.push(gaveWay(world));
  }
  expect(gone).toEqual([
    ["sea on b was stopped for m, as nobody asked it anything"],
    ["old was stopped for m, as nobody asked it anything"],
  ]);
});

test("only as many are stopped as it takes", async () => {
  const world = homeOf(["a", "b", "c"], []);
  world.machine("c").freeBytes = WHOLE;
  await world.place({ nodes: ["c"] }, undefined, "far");
  await world.idles("c", true);
  await world.settle(10_000);
  for (const name of ["a", "b"])
    Object.assign(world.machine(name), {
      freeBytes: FULL,
      alone: [{ model: `of ${name}`, bytes: HALF, idleMs: 1_000 }],
    });
  await world.place(WISHES);
  expect([models(world), gaveWay(world).length]).toEqual([["far", "m"], 2]);
});

/** On `a` and `b`, with `idle` in the memory of `c`, which nobody asks. */
async function besideIdle(heldBy: "the home" | "c by itself"): Promise<World> {
  const world = homeOf(["a", "b", "c"], []);
  await world.place({ nodes: ["a", "b", "c"], minimumNodes: 2 });
  if (heldBy === "c by itself") world.machine("c").alone = [{ model: "idle", bytes: HALF, idleMs: IDLE_MS }];
  else {
    world.machine("c").freeBytes = WHOLE;
    await world.place({ nodes: ["c"] }, undefined, "idle");
    await world.idles("c", true);
    world.machine("c").partBytes = WEIGHTS;
  }
  await world.settle(10_000);
  for (const name of ["a", "b"]) world.machine(name).freeBytes = ROOM - WEIGHTS / 2;
  world.machine("c").freeBytes = heldBy === "the home" ? WHOLE - WEIGHTS : FULL;
  return world;
}

test("a model that lost a machine has an idle one stopped for what is to be placed anew", async () => {
  const shown: unknown[] = [];
  for (const heldBy of ["the home", "c by itself"] as const) {
    const world = await besideIdle(heldBy);
    await world.is("b", "dead");
    await world.settle(20_000);
    shown.push([world.shown, gaveWay(world).length]);
  }
  expect(shown).toEqual([
    ["ready a:0-2 c:2-4", 1],
    ["ready a:0-2 c:2-4", 1],
  ]);
});

test("a model whose machine is drained, or that is wished for elsewhere, has an idle one stopped", async () => {
  const shown: unknown[] = [];
  for (const why of ["drained", "rebalanced"]) {
    const world = await besideIdle("the home");
    if (why === "drained") {
      world.machine("b").drained = true;
      await world.is("b", "up");
    } else await world.rebalance({ nodes: ["a", "c"], minimumNodes: 2 });
    await world.settle(20_000);
    shown.push([world.shown, gaveWay(world)]);
  }
  const said = ["idle was stopped for m, as nobody asked it anything"];
  expect(shown).toEqual([
    ["ready a:0-2 c:2-4", said],
    ["ready a:0-2 c:2-4", said],
  ]);
});

test("two idle models that are placed anew at once do not stop each other", async () => {
  const world = homeOf(["a", "b"], ["a"]);
  const b = world.machine("b");
  for (const model of ["m", "n"]) {
    b.freeBytes = WHOLE;
    await world.place({}, undefined, model);
    await world.settle(10_000);
  }
  await world.idles("b", true);
  Object.assign(b, { freeBytes: FULL, drained: true });
  world.machine("a").freeBytes = WHOLE;
  await world.is("b", "up");
  await world.settle(20_000);
  expect([models(world), world.shown, gaveWay(world)]).toEqual([
    [expect.stringMatching(/^[mn]$/)],
    "ready a:0-4",
    [],
  ]);
});

test("an idle model that two ask about is not stopped as the first of them is answered", async () => {
  const world = homeOf(["a", "b", "c", "d"], []);
  for (const [name, machine] of world.machines)
    Object.assign(machine, { freeBytes: WHOLE, speeds: [speeds(name === "b" ? 40e9 : 10e9)] });
  await world.placeFaster("a");
  await world.idles("b", true);
  await world.settle(10_000);
  for (const machine of world.machines.values()) machine.freeBytes = FULL;
  Object.assign(world.machine("b"), { freeBytes: WHOLE - WEIGHTS, partBytes: WEIGHTS });
  world.machine("d").isDeaf = true;
  const asks = (node: string) =>
    world.coordinator
      .placeFaster(node as NodeId, { model: MODEL, settings: { kvQuant: "f16" } })
      .catch(() => {});
  const first = asks("c");
  await world.settle(1_000);
  const second = asks("c");
  await world.settle(500);
  world.machine("d").isDeaf = false;
  await Promise.all([first, world.settle(600)]);
  await world.place({ nodes: ["b"] }, undefined, "n");
  await Promise.all([second, world.settle(10_000)]);
  expect([models(world), gaveWay(world)]).toEqual([["m"], []]);
});
