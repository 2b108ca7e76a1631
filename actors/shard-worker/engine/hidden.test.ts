import { expect, test } from "bun:test";
import { BODY_FRAME_BYTES_MAX } from "#actors/runtime/transport/framing";
import { areFinite, hiddenRowsMax, packHidden, unpackHidden } from "./hidden.ts";

test.each([576, 4096, 8192, 16_384, 53_248])(
  "as many rows of %d values as are taken at once fit a frame in float32, beside a pass",
  (width) => {
    const bytes = (rows: number) => rows * width * 4;
    const rows = hiddenRowsMax(width);
    expect([
      bytes(rows) + 64 * 1024 < BODY_FRAME_BYTES_MAX,
      bytes(rows + 1) > BODY_FRAME_BYTES_MAX - 2 * 1024 * 1024,
    ]).toEqual([true, true]);
  },
);

/** What a 16-bit type keeps of a value is what the stage before computed: values are widened exactly. */
const NUMBERS = {
  float32: [0, -0, 1, -1.5, 1e-45, -1.17e-38, 3.4e38, 0.1],
  float16: [0, -0, 1, -1.5, 2 ** -24, -(2 ** -14) + 2 ** -24, 65_504, 0.0999755859375],
  bfloat16: [0, -0, 1, -1.5, 2 ** -133, -(2 ** -126) + 2 ** -133, 3.3895313892515355e38, 0.10009765625],
} as const;
const SPECIAL = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];

test.each([
  ["float32", 4],
  ["float16", 2],
  ["bfloat16", 2],
] as const)(
  "%s crosses as it was, at any place in memory, and what is no number stays none",
  (type, size) => {
    const values = Float32Array.from([...NUMBERS[type], ...SPECIAL]);
    const packed = packHidden(values, type);
    const across = [0, 1, 2, 3, 5, 8].map((offset) => {
      const memory = new Uint8Array(offset + packed.length + 7);
      memory.set(packed, offset);
      const bytes = memory.subarray(offset, offset + packed.length);
      const got = [...unpackHidden(bytes, type)];
      // A Buffer's own slice is no copy, and what arrives may be one.
      const same = [...unpackHidden(Buffer.from(memory.buffer, offset, packed.length), type)];
      return Bun.deepEquals(got, same) ? got : same;
    });
    // Object.is tells -0 from 0, and NaN is NaN.
    const wrong = across.flatMap((got) => got.filter((value, i) => !Object.is(value, values[i])));
    expect([packed.length, wrong, areFinite(values), areFinite(values.subarray(0, -3))]).toEqual([
      values.length * size,
      [],
      false,
      true,
    ]);
  },
);

test("rows that a sender's memory holds behind others are packed alone", () => {
  const all = Float32Array.from({ length: 12 }, (_, i) => i / 4);
  const rows = all.subarray(4, 8);
  const got = (["float32", "float16", "bfloat16"] as const).map((type) => [
    ...unpackHidden(packHidden(rows, type), type),
  ]);
  expect(got).toEqual(Array.from({ length: 3 }, () => [1, 1.25, 1.5, 1.75]));
});
