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
