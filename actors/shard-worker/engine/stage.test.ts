/** What a stage holds is bounded, whatever it is told. */
import { afterAll, expect, test } from "bun:test";
import { builtMlx } from "#ffi/built-library";
import type { Pass, SequenceOperation } from "#protocol/pass";
import { Stage } from "./stage.ts";
import { tinyModel } from "./tiny-model.ts";

const mlx = builtMlx();
const stage = new Stage({ mlx, model: tinyModel(mlx, { layers: 2 }) });
afterAll(() => stage.clear());

const pass = (ops: readonly SequenceOperation[], feeds: Pass["feeds"] = []): Pass => ({
  instance: "m",
  epoch: 0,
  number: 0,
  ops: [...ops],
  feeds,
  wanted: "hidden",
});

test("copies beyond what any engine keeps are not begun, and are found missing when they are fed", () => {
  stage.run(pass([], [{ sequence: 0, position: 0, count: 3, tokens: [1, 2, 3] }]));
  const copies = (from: number) =>
    Array.from({ length: 600 }, (_, i) => ({
      type: "fork" as const,
      from: 0,
      sequence: from + i,
      length: 3,
    }));
  stage.run(pass(copies(1)));
  stage.run(pass(copies(601)));
  const { lost } = stage.run(pass([], [{ sequence: 1200, position: 3, count: 1, tokens: [4] }]));
  expect([stage.size, lost]).toEqual([1024, [{ sequence: 1200 }]]);
});
