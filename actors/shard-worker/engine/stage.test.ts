/** What a stage holds is bounded, whatever it is told. */
import { afterAll, expect, test } from "bun:test";
import type { Dtype } from "#ffi/array";
import { builtMlx } from "#ffi/built-library";
import type { Pass, SequenceOperation } from "#protocol/pass";
import { Problem } from "#protocol/problem";
import { packHidden } from "./hidden.ts";
import { Stage } from "./stage.ts";
import { TINY_VOCABULARY, tinyModel } from "./tiny-model.ts";

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

/** A stage with the second of two layers, which knows the sequences 0 and 1 up to their third row. */
function second(dtype: Dtype): Stage {
  const made = new Stage({ mlx, model: tinyModel(mlx, { dtype, range: { start: 1, end: 2 } }) });
  for (const sequence of [0, 1]) made.run(pass([], [{ sequence, position: 0, count: 3 }]), rowsOf(3));
  return made;
}

const WIDTH = 32;
/** Hidden state of so many rows, in float32, of which some values may be others. */
function rowsOf(count: number, others: Readonly<Record<number, number>> = {}): Uint8Array {
  const values = Float32Array.from({ length: count * WIDTH }, (_, i) => others[i] ?? Math.sin(i));
  return packHidden(values, "float32");
}

const NEXT = { sequence: 0, position: 3, count: 1 };
const HALF = { hiddenType: "float16" } as const;

const in8 = (count: number): Pass => ({ ...pass([], [{ ...NEXT, count }]), hiddenType: "int8" });
/** One row in 8 bits, of codes from -128 (the largest) to -97, with a scale of these bits; 0x3f80 is 1, 0x4780 is 65,536. */
function rowIn8({ scale = 0x3f80, largest = 200 } = {}): Uint8Array {
  const row = new DataView(new ArrayBuffer(WIDTH + 6));
  for (let i = 0; i < WIDTH; i++) row.setInt8(i, i - 128);
  row.setUint16(WIDTH, scale, true);
  row.setFloat32(WIDTH + 2, largest, true);
  return new Uint8Array(row.buffer);
}

test.each([
  ["a value that is none", pass([], [NEXT]), rowsOf(1, { 7: Number.NaN }), "computed no numbers"],
  ["an infinite one", pass([], [NEXT]), rowsOf(1, { 31: -Infinity }), "computed no numbers"],
  ["one beyond the type computed in", pass([], [NEXT]), rowsOf(1, { 0: 65_536 }), "computed no numbers"],
  ["a row too few", pass([], [{ ...NEXT, count: 2 }]), rowsOf(1), "2 rows take 256 bytes, and 128 were sent"],
  ["a row too many", pass([], [NEXT]), rowsOf(2), "1 rows take 128 bytes, and 256 were sent"],
  ["no rows at all", pass([], [NEXT]), undefined, "1 rows take 128 bytes, and 0 were sent"],
  ["half a value", pass([], [NEXT]), rowsOf(1).subarray(2), "and 126 were sent"],
  ["another type", { ...pass([], [NEXT]), ...HALF }, rowsOf(1), "1 rows take 64 bytes, and 128 were sent"],
  ["a row too few in 8 bits", in8(2), rowIn8(), "2 rows take 76 bytes, and 38 were sent"],
  ["a row too many in 8 bits", in8(1), rowsOf(1), "1 rows take 38 bytes, and 128 were sent"],
  ["8 bits without scales", in8(1), rowIn8().subarray(0, 32), "1 rows take 38 bytes, and 32 were sent"],
  ["a scale that is no number", in8(1), rowIn8({ scale: 0x7fc0 }), "computed no numbers"],
  ["an infinite scale", in8(1), rowIn8({ scale: 0x7f80 }), "computed no numbers"],
  ["a scale beyond the type computed in", in8(1), rowIn8({ scale: 0x4780 }), "computed no numbers"],
  ["a largest value that is none", in8(1), rowIn8({ largest: Number.NaN }), "computed no numbers"],
  ["a largest value beyond the type", in8(1), rowIn8({ largest: 70_000 }), "computed no numbers"],
  ["rows of another place", pass([], [{ ...NEXT, position: 2 }]), rowsOf(1), "lost"],
  ["rows of a sequence that is none here", pass([], [{ ...NEXT, sequence: 7 }]), rowsOf(1), "lost"],
  [
    "one sequence twice",
    pass([], [NEXT, { ...NEXT, position: 4 }]),
    rowsOf(2),
    "several sequences are fed in one pass, not each of them one token",
  ],
])("T32 hidden state with %s is found before anything is computed with it", (_, wrong, body, why) => {
  const [spoilt, untouched] = [second("float16"), second("float16")];
  let said: string;
  try {
    const { feeds, lost, values } = spoilt.run(wrong, body);
    said = feeds.length + values.length > 0 ? "computed" : (lost[0]?.problem?.message ?? "lost");
  } catch (error) {
    said = error instanceof Problem ? error.message : String(error);
  }
  const next = (stage: Stage) => {
    const last = { ...pass([], [{ ...NEXT, sequence: 1 }]), wanted: "last" } as const;
    const { values, lost } = stage.run(last, rowsOf(1));
    return { values, lost };
  };
  const right = next(untouched);
  expect({ said, next: next(spoilt), some: right.values.length }).toEqual({
    said: expect.stringContaining(why),
    next: right,
    some: TINY_VOCABULARY,
  });
  for (const each of [spoilt, untouched]) each.clear();
});
