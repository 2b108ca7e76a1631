/** What a leader counts on of machines' memory: what they tell as free, less what is about to be taken, with what is given back. */
import { expect, test } from "bun:test";
import type { ProblemBody } from "#protocol/problem";
import { checkpoint } from "./model.ts";
import { World } from "./world.ts";

const KILLED: ProblemBody = { kind: "unavailable", message: "the worker was ended by SIGKILL" };
const WISHES = { nodes: ["a", "b"], minimumNodes: 2 };

/** Two machines of so much free memory. */
function homeOf(freeBytes: number): World {
  const world = new World("a", "b");
  for (const machine of world.machines.values()) machine.freeBytes = freeBytes;
  return world;
}

test("memory of a part that is loaded is given back, that of a worker that is gone is free already", async () => {
  const shown: string[] = [];
  for (const dies of [false, true]) {
    const world = homeOf(850e6);
    await world.place(WISHES);
    // As machines tell it once the weights are in memory.
    for (const machine of world.machines.values()) machine.freeBytes = 520e6;
    if (dies) await world.becomes("b", KILLED);
    else await world.parts("b");
    await world.settle(10_000);
    shown.push(world.shown);
  }
  expect(shown).toEqual(["ready a:0-2 b:2-4", "ready a:0-3 b:3-4"]);
});

test("two models that are asked for at once are not given the same memory", async () => {
  const world = homeOf(850e6);
  for (const machine of world.machines.values()) machine.outcome = undefined;
  const answers = await Promise.all([world.place(WISHES), world.place(WISHES, undefined, "other")]);
  const loading = world.shown;
  await Promise.all(["a", "b"].map((name) => world.becomes(name, "loaded")));
  for (const machine of world.machines.values()) machine.freeBytes = 650e6;
  await world.settle(6000);
  // By now what the first takes is told, and room for the other as well.
  const later = await world.place(WISHES, undefined, "other");
  expect([answers, loading, later]).toEqual([
    [[], expect.stringMatching(/^no plan fits other .* short on a/)],
    "loading a:0-2 b:2-4",
    [],
  ]);
});

test("ranks of a model take their parts of its memory, and leave the rest to another", async () => {
  const world = homeOf(1000e6);
  const divisible = { ...checkpoint.shape, divisions: [{ what: "attention heads", size: 4, piece: 1 }] };
  for (const machine of world.machines.values())
    Object.assign(machine, { has: { ...checkpoint, shape: divisible }, outcome: undefined });
  const wish = { ...WISHES, strategy: "tensor" } as const;
  const answers = [await world.place(wish), await world.place(wish, undefined, "other")];
  expect([answers, world.shown]).toEqual([[[], []], "loading a:0-4 b:0-4; loading a:0-4 b:0-4"]);
});

test("a model that does not fit beside another is refused with the one that could be stopped for it", async () => {
  const world = homeOf(850e6);
  await world.place(WISHES);
  for (const machine of world.machines.values()) machine.freeBytes = 520e6;
  await world.settle(6000);
  const refused = await world.refusal(WISHES, "other");
  for (const machine of world.machines.values()) machine.freeBytes = 100e6;
  const hopeless = await world.refusal(WISHES, "other");
  expect([refused, hopeless]).toEqual([
    "it fits once m is stopped: exo stop m",
    expect.stringContaining("free memory (exo ps, exo stop), add a machine"),
  ]);
});

test("a model that nobody asks gives way to one that needs its memory, once all of its machines say so", async () => {
  const world = homeOf(850e6);
  await world.place(WISHES);
  for (const machine of world.machines.values())
    Object.assign(machine, { freeBytes: 520e6, partBytes: 330e6 });
  await world.settle(6000);
  await world.idles("a", true);
  const early = await world.refusal(WISHES, "other");
  await world.idles("b", true);
  await world.idles("a", false);
  await world.idles("a", true);
  const placed = await world.place(WISHES, undefined, "other");
  await world.settle(1000);
  expect([early, placed, world.shown, world.instances.map(({ model }) => model)]).toEqual([
    "it fits once m is stopped: exo stop m",
    ["m was stopped for it, as nobody asked it anything"],
    "ready a:0-2 b:2-4",
    ["other"],
  ]);
});

test("who gets no place although a model gave way hears that it did", async () => {
  const world = homeOf(850e6);
  await world.place(WISHES);
  for (const machine of world.machines.values())
    Object.assign(machine, { freeBytes: 520e6, partBytes: 330e6 });
  await world.settle(6000);
  for (const name of ["a", "b"]) await world.idles(name, true);
  world.disagrees = () => {
    for (const machine of world.machines.values()) machine.freeBytes = 0;
    return undefined;
  };
  const asked = world.place(WISHES, undefined, "other");
  await world.settle(60_000);
  expect(await asked).toMatch(/; m had been stopped for it$/);
});

test("no model is stopped for one that would not fit all the same", async () => {
  const world = homeOf(850e6);
  await world.place(WISHES);
  for (const machine of world.machines.values()) machine.freeBytes = 20e6;
  await world.settle(6000);
  for (const name of ["a", "b"]) await world.idles(name, true);
  world.machine("b").freeBytes = 0;
  world.machine("b").drained = true;
  const refused = await world.place(WISHES, undefined, "other");
  expect([String(refused).slice(0, 18), world.instances.map(({ model }) => model)]).toEqual([
    "no plan fits other",
    ["m"],
  ]);
});

test("who leads since the model was placed knows what it would give back, too", async () => {
  const world = homeOf(850e6);
  await world.place(WISHES);
  for (const machine of world.machines.values())
    Object.assign(machine, { freeBytes: 520e6, partBytes: 330e6 });
  await world.newLeader();
  const used = await world.refusal(WISHES, "other");
  for (const name of ["a", "b"]) await world.idles(name, true);
  const placed = await world.place(WISHES, undefined, "other");
  expect([used, placed]).toEqual([
    "it fits once m is stopped: exo stop m",
    ["m was stopped for it, as nobody asked it anything"],
  ]);
});

/** A home whose memory is taken by these models, which nobody asks anything. */
async function idleHome(freeBytes: number, ...models: readonly string[]): Promise<World> {
  const world = homeOf(850e6);
  for (const model of models) {
    for (const machine of world.machines.values()) machine.freeBytes = 850e6;
    await world.place(WISHES, undefined, model);
    await world.settle(6000);
  }
  for (const machine of world.machines.values()) Object.assign(machine, { freeBytes, partBytes: 330e6 });
  for (const name of world.machines.keys()) await world.idles(name, true);
  return world;
}

/** Looks at checkpoints that begin now wait until it is called. */
async function slowed<T>(world: World, begin: () => Promise<T>): Promise<() => Promise<T>> {
  const gate = Promise.withResolvers<void>();
  world.slow = gate.promise;
  const begun = begin();
  await world.settle();
  world.slow = Promise.resolve();
  return async () => {
    gate.resolve();
    await world.settle();
    return await begun;
  };
}

test("of two that need the room of one idle model the second hears that memory is short, and nothing of the first", async () => {
  const world = await idleHome(520e6, "m");
  for (const machine of world.machines.values()) machine.partBytes = 0;
  const third = await slowed(world, () => world.place(WISHES, undefined, "third"));
  const other = world.place(WISHES, undefined, "other");
  await world.settle();
  // By now m is gone, and its memory is not told as free yet.
  const refused = await third();
  for (const machine of world.machines.values()) machine.freeBytes = 850e6;
  await world.settle(1000);
  expect([refused, await other, world.instances.map(({ model }) => model)]).toEqual([
    expect.stringMatching(/^no plan fits third/),
    ["m was stopped for it, as nobody asked it anything"],
    ["other"],
  ]);
});

test("a model that somebody asks while machines look at another stays", async () => {
  const world = await idleHome(520e6, "m");
  const other = await slowed(world, () => world.refusal(WISHES, "other"));
  await world.idles("a", false);
  expect([await other(), world.instances.map(({ model }) => model)]).toEqual([
    "it fits once m is stopped: exo stop m",
    ["m"],
  ]);
});

test("a model that somebody asks while another is stopped beside it stays", async () => {
  const world = await idleHome(100e6, "m", "n");
  const gate = Promise.withResolvers<void>();
  world.ending = gate.promise;
  const refused = world.place(WISHES, undefined, "other");
  await world.settle();
  await world.idles("a", false);
  gate.resolve();
  await world.settle(9000);
  expect([await refused, world.instances.map(({ model }) => model)]).toEqual([
    expect.stringMatching(/^no plan fits other/),
    ["n"],
  ]);
});

test("memory of a model that was stopped is waited for until machines have told of it, and no longer", async () => {
  const outcomes: unknown[] = [];
  for (const isToldOf of [true, false]) {
    const world = homeOf(850e6);
    await world.place(WISHES);
    for (const machine of world.machines.values()) machine.freeBytes = 20e6;
    await world.settle(6000);
    await world.release();
    const asked = world.place(WISHES, undefined, "other");
    await world.settle(3000);
    for (const machine of world.machines.values()) if (isToldOf) machine.freeBytes = 850e6;
    await world.settle(8000);
    outcomes.push([await asked, world.shown]);
  }
  expect(outcomes).toEqual([
    [[], "ready a:0-2 b:2-4"],
    [expect.stringMatching(/^no plan fits other/), ""],
  ]);
});
