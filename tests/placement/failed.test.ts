/** What becomes of a model that failed when somebody asks for it again. */
import { expect, test } from "bun:test";
import type { ProblemBody } from "#protocol/problem";
import { MODEL } from "./model.ts";
import { World } from "./world.ts";

const FULL: ProblemBody = { kind: "doesNotFit", message: "no memory" };

test("a model that failed where it was asked for goes there again for who names no place, or says why it cannot", async () => {
  const world = new World("a", "b", "c");
  world.machine("b").outcome = FULL;
  await world.place({ nodes: ["a", "b"] });
  await world.settle(1000);
  const refused = [await world.place(), await world.refusal({}, MODEL)];
  world.machine("b").outcome = "loads";
  await world.settle(61_000);
  const notes = await world.place();
  expect({ refused, notes, shown: world.shown, wish: world.instances[0]?.wish }).toEqual({
    refused: [
      expect.stringMatching(
        /^m failed \(no memory.*\), and where it was asked for it cannot be now: no plan fits m /,
      ),
      "exo run m --nodes A,B says where else; exo stop m forgets where it was to be",
    ],
    notes: ["m goes where it was asked for before, and failed: exo stop m forgets that"],
    shown: "ready a:0-2 b:2-4",
    wish: { nodes: ["a", "b"] },
  });
});

async function failedOn(...nodes: readonly string[]): Promise<World> {
  const world = new World("a", "b", "c");
  for (const name of ["a", "b", "c"]) world.machine(name).facts = { hidden: ["8bit"] };
  world.machine("b").outcome = FULL;
  await world.place({ nodes: [...nodes] });
  await world.settle(1000);
  world.machine("b").outcome = "loads";
  await world.settle(61_000);
  return world;
}

test("who asks for a model that failed while it is placed elsewhere, and names no place, gets it there", async () => {
  const world = await failedOn("a", "b");
  const looks = Promise.withResolvers<void>();
  world.slow = looks.promise;
  const asked = [world.place({ nodes: ["a", "c"] }), world.place()];
  looks.resolve();
  const notes = await Promise.all(asked);
  expect({ notes, shown: world.shown, wish: world.instances[0]?.wish }).toEqual({
    notes: [[], []],
    shown: "ready a:0-2 c:2-4",
    wish: { nodes: ["a", "c"] },
  });
});

test("who says only how a model that failed is computed gets it so where it was asked for", async () => {
  const world = await failedOn("a", "b");
  const notes = await world.place({ hidden: "8bit" });
  expect({ notes, shown: world.shown, wish: world.instances[0]?.wish }).toEqual({
    notes: ["m goes where it was asked for before, and failed: exo stop m forgets that"],
    shown: "ready a:0-2 b:2-4",
    wish: { nodes: ["a", "b"], hidden: "8bit" },
  });
});
