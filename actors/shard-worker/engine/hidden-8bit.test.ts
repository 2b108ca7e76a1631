import { expect, test } from "bun:test";
import { areFinite } from "./hidden.ts";
import { bytesIn8, packIn8, unpackIn8 } from "./hidden-8bit.ts";

/** Some values large and most small, as hidden state is. */
const valuesOf = (rows: number, width: number): Float32Array =>
  Float32Array.from({ length: rows * width }, (_, i) => Math.sin(i * 12.9898) * (i % 97 === 5 ? 300 : 2));

const crossed = (values: Float32Array, width: number): Float32Array =>
  unpackIn8(packIn8(values, width), width);

test.each([576, 4096, 100, 32])(
  "a row of %d values takes 134 bytes for 128; the largest crosses as it is, no other is off by more than half a step of the rest",
  (width) => {
    const values = valuesOf(5, width);
    const got = crossed(values, width);
    const wrong = [...values].filter((value, i) => {
      const [row, at] = [Math.floor(i / width), i % width];
      const start = row * width + at - (at % 128);
      const group = values.subarray(start, Math.min(start + 128, (row + 1) * width));
      const [largest = 0, second = 0] = [...group].map(Math.abs).toSorted((a, b) => b - a);
      const off = Math.abs((got[i] ?? Number.NaN) - value);
      if (Math.abs(value) === largest) return off !== 0;
      // A scale in bfloat16 is up to 1/128 larger; what would grow beyond the largest of the rest goes a whole step down.
      const step = (second / 127) * (1 + 1 / 128);
      return off > (Math.abs(value) > second - step / 2 ? step : step / 2) + 1e-6;
    });
    const beyond = [...got].filter((value) => Math.abs(value) > 300);
    expect([packIn8(values, width).length, wrong, beyond]).toEqual([
      5 * (width + 6 * Math.ceil(width / 128)),
      [],
      [],
    ]);
  },
);

test("a row is the same bytes whatever rows are sent with it, at any place in memory", () => {
  const width = 100;
  const values = valuesOf(7, width);
  const all = crossed(values, width);
  const cuts = [
    [0, 7],
    [0, 3, 7],
    [0, 1, 2, 3, 4, 5, 6, 7],
  ].map((ends) =>
    ends.slice(1).flatMap((end, i) => {
      const packed = packIn8(values.subarray((ends[i] ?? 0) * width, end * width), width);
      const memory = new Uint8Array(packed.length + 3);
      memory.set(packed, 3);
      return [...unpackIn8(memory.subarray(3), width)];
    }),
  );
  expect(cuts).toEqual(cuts.map(() => [...all]));
});

test("zeros stay zeros, the largest and least of each type stay numbers, and what crossed crosses again as it is", () => {
  const extremes = [65_504, -65_504, 3.4e38, -3.4e38, 1e-45, 3e-43, 2 ** -126, 0].map((value) => {
    const got = crossed(Float32Array.from([value, value / 2, 0, -0]), 4);
    return [areFinite(got), Math.abs(got[0] ?? Number.NaN) <= Math.abs(Math.fround(value))];
  });
  const once = crossed(valuesOf(3, 576), 576);
  expect([extremes, [...crossed(new Float32Array(64), 64)], areFinite(once, "float16")]).toEqual([
    extremes.map(() => [true, true]),
    Array.from({ length: 64 }, () => 0),
    true,
  ]);
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
  "a group with %d has no numbers on the other side, and the other groups have all of theirs",
  (wrong) => {
    const values = valuesOf(2, 256);
    values[140] = wrong;
    const got = crossed(values, 256);
    const groups = [0, 128, 256, 384].map((start) => got.subarray(start, start + 128));
    expect([
      groups.map((group) => areFinite(group)),
      groups[1]?.some((value) => Number.isFinite(value)),
      bytesIn8(2, 256),
    ]).toEqual([[true, false, true, true], false, 536]);
  },
);
