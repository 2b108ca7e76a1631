/** What flags of commands that place a model ask the home for. */
import { expect, test } from "bun:test";
import { wishOf } from "#actors/supervisor/commands/wish";

test("a mixed placement is asked for as a pipeline with a field of its own, which machines that do not know it leave out", () => {
  const asked = [
    { strategy: "mixed" },
    { strategy: "tensor", backend: "ring" },
    { nodes: ["a"], minNodes: 1 },
    {},
  ] as const;
  expect(asked.map(wishOf)).toEqual([
    { strategy: "pipeline", sharedStages: true },
    { strategy: "tensor", backend: "ring" },
    { nodes: ["a"], minimumNodes: 1 },
    undefined,
  ]);
});
