/** A large home is planned for in slices: who leads hears others meanwhile, and what happens then harms nothing. */
import { expect, test } from "bun:test";
import { Turns } from "#actors/supervisor/placement/turns";
import type { NodeId } from "#protocol/ids";
import { VirtualTime } from "../sim/time.ts";
import { checkpoint } from "./model.ts";
import { World } from "./world.ts";

const NAMES = "abcdefghijklmnop".split("");
const LAYERS = 80;

/** Sixteen machines, each with room for eight of the layers of a model that takes part of a second to plan. */
function largeHome(): World {
  const world = new World(...NAMES);
  const [layer] = checkpoint.shape.layers;
  const layers = Array.from({ length: LAYERS }, () => layer ?? { bytes: 0, wholeBytes: 0, flops: 0 });
  for (const machine of world.machines.values())
    Object.assign(machine, {
      freeBytes: 1250e6,
      has: { ...checkpoint, shape: { ...checkpoint.shape, layers } },
    });
  return world;
}

/** What comes of asking for that model on so many machines; nothing goes on before somebody lets time pass. */
const asked = (world: World, model: string, minimumNodes = NAMES.length): Promise<string> =>
  world.coordinator
    .place("a" as NodeId, { model, wish: { minimumNodes }, settings: { kvQuant: "f16" } })
    .then(
      () => "placed",
      ({ message }: Error) => message,
    );

/** When a plan has begun and is not ready yet. */
const meanwhile = (world: World, happens: () => void): void =>
  void world.time.after(0, () => void world.time.after(0, happens));

test("others are heard again and again while a plan is made", async () => {
  const world = largeHome();
  let [heard, isPlaced] = [0, false];
  const hear = () => {
    heard += 1;
    if (!isPlaced) world.time.after(0, hear);
  };
  const answer = asked(world, "m").finally(() => {
    isPlaced = true;
  });
  world.time.after(0, hear);
  await world.settle();
  expect([await answer, heard > 20]).toEqual(["placed", true]);
});

test("two models whose plans are asked for at once are not given the same memory", async () => {
  const world = largeHome();
  for (const machine of world.machines.values()) machine.outcome = undefined;
  const answers = Promise.all([asked(world, "m"), asked(world, "other")]);
  await world.settle();
  expect(await answers).toEqual(["placed", expect.stringMatching(/^no plan fits other /)]);
});

test("a model of which a machine dies while its plan is made comes up on the others", async () => {
  const world = largeHome();
  const answer = asked(world, "m", 14);
  const shown: string[] = [];
  meanwhile(world, () => {
    shown.push(world.shown);
    void world.is("b", "dead");
  });
  await world.settle();
  expect([await answer, shown, world.shown]).toEqual([
    "placed",
    [""],
    expect.stringMatching(/^ready (?!.* b:).* o:77-80$/),
  ]);
});

test("a plan of who leads no more by its end is not proposed, and keeps no memory from others once it leads again", async () => {
  const world = largeHome();
  const answer = asked(world, "m");
  meanwhile(world, () => void world.deposed({ again: false }));
  await world.settle();
  const old = await answer;
  const shown = world.shown;
  await world.deposed({ again: true });
  const other = asked(world, "other");
  await world.settle();
  expect([old, shown, await other]).toEqual([expect.stringMatching(/does not lead/), "", "placed"]);
});

test("plans wait for their turn in the order in which they were asked for, and no more than 256 of them", async () => {
  const time = new VirtualTime();
  const turns = new Turns(time);
  const made: number[] = [];
  const plan = function* (at: number) {
    yield 1e6;
    return at;
  };
  const all = Array.from({ length: 257 }, (_, at) =>
    turns
      .take(
        () => plan(at),
        (each) => made.push(each),
      )
      .catch(({ message }: Error) => message),
  );
  await time.pass(1);
  expect([made, await all[256]]).toEqual([
    Array.from({ length: 256 }, (_, at) => at),
    "256 models wait to be placed already",
  ]);
});
