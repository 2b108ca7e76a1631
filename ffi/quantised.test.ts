import { expect, test } from "bun:test";
import fc from "fast-check";
import type { MxArray, Packed, Quantisation } from "./array.ts";
import { builtMlx } from "./built-library.ts";
import { affine, floats } from "./plain-arrays.ts";

const mlx = builtMlx();

const nameOf = ({ mode, bits, groupSize }: Quantisation): string => `${mode} ${bits} ${groupSize}`;

/** Values between -1 and 1 that look random and are the same everywhere. */
const wave = (shape: readonly number[], step: number): MxArray =>
  mlx.fromFloat32(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * i * step + i)),
    shape,
  );
const furthest = (a: MxArray, b: MxArray): number => {
  const [left, right] = [a.toFloat32(), b.toFloat32()];
  return left.reduce(
    (most, x, i) => Math.max(most, Math.abs(x - (right[i] ?? Number.NaN))),
    left.length === right.length ? 0 : Number.NaN,
  );
};

test("every affine width is off by at most a step of its group, and so is packing again what was unpacked", () => {
  mlx.scope(() => {
    for (const as of affine) {
      const weight = wave([8, 256], 0.37);
      const packed = mlx.quantize(weight, as);
      const back = mlx.dequantize(packed, "float32");
      // Values span at most 2 in a group, and MLX moves its ends so that zero is hit exactly.
      const step = 2 / (2 ** as.bits - 1) + 1e-6;
      const again = mlx.dequantize(mlx.quantize(back, as), "float32");
      expect([nameOf(as), furthest(back, weight) < step, furthest(again, back) < step]).toEqual([
        nameOf(as),
        true,
        true,
      ]);
    }
  });
});

test("a packed product equals the dense one over the unpacked weight, in every mode", () => {
  const sides = fc.tuple(
    fc.integer({ min: 1, max: 9 }),
    fc.integer({ min: 1, max: 40 }),
    fc.constantFrom(...affine, ...floats),
  );
  fc.assert(
    fc.property(sides, ([rows, out, as]) =>
      mlx.scope(() => {
        const packed = mlx.quantize(wave([out * 8, 128], 0.11), as);
        const x = wave([1, rows, 128], 0.23);
        // Our kernels round x to 16 bits: 7e-5 in the root mean square for 128 products of this size.
        expect(furthest(x.quantizedLinear(packed), x.linear(mlx.dequantize(packed, "float32")))).toBeLessThan(
          5e-4,
        );
      }),
    ),
    { numRuns: 40 },
  );
});

test("rows of a packed table are the rows of the unpacked one, in the type asked for", () => {
  mlx.scope(() => {
    const packed = mlx.quantize(wave([50, 64], 0.19), { mode: "affine", bits: 4, groupSize: 32 });
    const ids = mlx.fromInt32(Int32Array.of(7, 0, 49, 7), [1, 4]);
    const rows = ids.quantizedRows(packed, "float32");
    const half = ids.quantizedRows(packed, "float16");
    const dense = mlx.dequantize(packed, "float32").take(ids, 0);
    // One rounding fewer than MLX's own: product and sum are one step.
    expect([rows.shape, furthest(rows, dense) < 1e-6, half.dtype, half.shape]).toEqual([
      [1, 4, 64],
      true,
      "float16",
      [1, 4, 64],
    ]);
  });
});

test("experts chosen by index give what each expert alone gives, dense and packed, sorted and not", () => {
  mlx.scope(() => {
    const dense = wave([4, 16, 64], 0.31);
    const packed = mlx.quantize(dense, { mode: "affine", bits: 8, groupSize: 32 });
    const x = wave([1, 3, 1, 1, 64], 0.41);
    const ids = mlx.fromInt32(Int32Array.of(0, 3, 1, 1, 2, 0), [1, 3, 2]);
    const alone = (weight: MxArray): MxArray => {
      const rows = [0, 3, 1, 1, 2, 0].map((expert, i) =>
        x
          .slice(1, i >> 1, (i >> 1) + 1)
          .reshape(1, 64)
          .linear(weight.slice(0, expert, expert + 1).squeeze(0)),
      );
      return (rows[0] as MxArray).concat(rows.slice(1), 0).reshape(1, 3, 2, 1, 16);
    };
    const results: readonly (readonly [MxArray | Packed, MxArray])[] = [
      [dense, dense],
      [packed, mlx.dequantize(packed, "float32")],
    ];
    for (const [weight, plain] of results) {
      const gathered = x.gatherLinear(weight, ids, false);
      expect([gathered.shape, furthest(gathered, alone(plain)) < 5e-4]).toEqual([[1, 3, 2, 1, 16], true]);
      const pairs = x
        .reshape(3, 64)
        .take(mlx.fromInt32(Int32Array.of(0, 1, 1, 2), [4]), 0)
        .reshape(4, 1, 1, 64);
      const sorted = mlx.fromInt32(Int32Array.of(0, 1, 1, 3), [4, 1]);
      const bySort = pairs.gatherLinear(weight, sorted, true);
      expect([bySort.shape, furthest(bySort, pairs.gatherLinear(weight, sorted, false)) < 5e-4]).toEqual([
        [4, 1, 1, 16],
        true,
      ]);
    }
  });
});
