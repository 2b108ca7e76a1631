/** Products of few rows, for which some processors' kernels round x to 16-bit integers: how far that is from the exact product. */
import { expect, test } from "bun:test";
import type { MxArray, Packed, Quantisation } from "./array.ts";
import { builtMlx } from "./built-library.ts";
import { packings, repeatable } from "./plain-arrays.ts";

const mlx = builtMlx({ device: "cpu", kernels: "exo" });
const [ROWS, COLUMNS] = [256, 2048];
/** kernels_rounded.inc promises 1.7e-5 to 2e-5 of x where it is normally distributed; outliers make it up to 3.5e-5. */
const RELATIVE_MOST = 4e-5;

/** Normally distributed, by Box and Muller, with an outlier here and there, as activations have them. */
function activations(count: number): Float32Array {
  const [radius, angle] = [repeatable(count, 3), repeatable(count, 5)];
  return radius.map((value, i) => {
    const normal = Math.sqrt(-2 * Math.log((value + 1.0001) / 2.0002)) * Math.cos(Math.PI * (angle[i] ?? 0));
    return i % 97 === 0 ? 30 * normal : normal;
  });
}

const packedWeight = (how: Quantisation, rows: number, columns: number): Packed =>
  mlx.quantize(mlx.fromFloat32(repeatable(rows * columns, 11), [rows, columns]), how);

/** Sums of products in double precision. */
function exact(x: Float32Array, weight: MxArray): number[] {
  const [rows = 0, columns = 0] = weight.shape;
  const values = weight.toFloat32();
  return Array.from({ length: rows }, (_, n) =>
    x.reduce((sum, value, k) => sum + value * (values[n * columns + k] ?? Number.NaN), 0),
  );
}

test.each(packings)("a row's product is within 4e-5 of the exact one, in the root mean square: %j", (how) => {
  const relative = mlx.scope(() => {
    const [weight, x] = [packedWeight(how, ROWS, COLUMNS), activations(COLUMNS)];
    const wanted = exact(x, mlx.dequantize(weight, "float32"));
    const got = mlx.fromFloat32(x, [1, COLUMNS]).quantizedLinear(weight).toFloat32();
    const squares = (values: readonly number[]) => values.reduce((sum, value) => sum + value * value, 0);
    return Math.sqrt(squares(wanted.map((value, i) => value - (got[i] ?? Number.NaN))) / squares(wanted));
  });
  expect(relative).toBeLessThan(RELATIVE_MOST);
});

const oddValues = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

test.each(packings)(
  "a row with %j holding what is no finite number has no number for its product, others do",
  (how) => {
    const columns = 6 * how.groupSize;
    const found = mlx.scope(() => {
      const weight = packedWeight(how, 7, columns);
      return oddValues.map((odd) =>
        [0, 9, columns - 1].map((at) => {
          const x = new Float32Array(2 * columns).fill(1);
          x[at] = odd;
          const got = [...mlx.fromFloat32(x, [2, columns]).quantizedLinear(weight).toFloat32()];
          return [got.slice(0, 7).some(Number.isFinite), got.slice(7).every(Number.isFinite)];
        }),
      );
    });
    expect(found).toEqual(oddValues.map(() => [0, 1, 2].map(() => [false, true])));
  },
);

test("values of all sizes that floats have neither overflow nor vanish beside larger ones of their own size", () => {
  const sizes = [1e-38, 1e-30, 1e-20, 1, 1e20, 1e30];
  const columns = 64;
  const relative = mlx.scope(() =>
    sizes.map((size) => {
      const weight = packedWeight({ mode: "affine", bits: 4, groupSize: 32 }, 1, columns);
      const x = new Float32Array(columns).fill(size);
      const [wanted = 0] = exact(x, mlx.dequantize(weight, "float32"));
      const [got = Number.NaN] = mlx.fromFloat32(x, [1, columns]).quantizedLinear(weight).toFloat32();
      // Below 2^-100 an x may count as zero.
      return size < 2 ** -100 ? Math.abs(got) <= Math.abs(wanted) * 1.01 : Math.abs(got / wanted - 1) < 1e-3;
    }),
  );
  expect(relative).toEqual(sizes.map(() => true));
});
