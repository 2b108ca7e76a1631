/** Products with many rows, as prompts make them, on whichever kernels this machine has. */
import { describe, expect, test } from "bun:test";
import type { Dtype, MxArray, Quantisation } from "./array.ts";
import { builtLibrary } from "./built-library.ts";
import { createMlx } from "./native.ts";
import { repeatable, withScales } from "./plain-arrays.ts";

const library = builtLibrary();
const exo = createMlx(library, { device: "cpu", kernels: "exo" });
const mlx = createMlx(library, { device: "cpu", kernels: "mlx" });

/** With AVX-512 VNNI, x is rounded to 16 bits beside packed weights: see exo_quantized_linear. */
const INTEGERS = library.native.exo_kernel_path() === "avx512";
/** Largest error of a product, relative to the deviation of all: the rounding of x, and of float32 sums. */
const relative = (bits: number): number => (INTEGERS && bits !== 0 ? 2.5e-5 : 2e-6);

interface Weight {
  readonly bits: number;
  readonly groupSize: number;
  readonly type: Dtype;
  readonly mode?: Quantisation["mode"];
}

const weights: readonly Weight[] = [
  ...[4, 8].flatMap((bits) =>
    [32, 64, 128].map((groupSize): Weight => ({ bits, groupSize, type: "float16" })),
  ),
  ...[2, 3, 5, 6].map((bits): Weight => ({ bits, groupSize: 64, type: "float32" })),
  { mode: "mxfp4", bits: 4, groupSize: 32, type: "float32" },
  { mode: "nvfp4", bits: 4, groupSize: 16, type: "float32" },
  ...(["float32", "float16", "bfloat16"] as const).map((type): Weight => ({ bits: 0, groupSize: 0, type })),
];

/** A product by x [count, columns] that gives [count, rows], and the same as MLX computes it over the unpacked weight. */
function productOf({ bits, groupSize, type, mode = "affine" }: Weight, rows: number, columns: number) {
  const dense = mlx.fromFloat32(repeatable(rows * columns, 11), [rows, columns]);
  if (bits === 0) {
    const weight = dense.astype(type);
    const wide = weight.astype("float32");
    return { ours: (x: MxArray) => x.linear(weight), reference: wide };
  }
  const packed = withScales(mlx.quantize(dense, { mode, bits, groupSize }), type);
  const reference = mlx.dequantize(withScales(packed, "float32"), "float32");
  return { ours: (x: MxArray) => x.quantizedLinear(packed), reference };
}

const root = (values: readonly number[]): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);

describe.each(weights)("beside a weight of $bits bits in groups of $groupSize, $type", (weight) => {
  test.each([
    [50, 384, 9],
    [97, 640, 21],
  ])("%d x %d by %d rows is right to the bound of these kernels", (rows, columns, count) => {
    const error = exo.scope(() => {
      const { ours, reference } = productOf(weight, rows, columns);
      const given = repeatable(count * columns, 7);
      const got = ours(exo.fromFloat32(given, [1, count, columns])).toFloat32();
      const wanted = mlx.fromFloat32(given, [1, count, columns]).linear(reference).toFloat32();
      const apart = [...got].map((value, i) => value - (wanted[i] ?? Number.NaN));
      return root(apart) / root([...wanted]);
    });
    expect(error).toBeLessThan(relative(weight.bits));
  });

  test("a row is the same to the last bit wherever it stands and however many stand beside it", () => {
    const [rows, columns, most] = [61, 640, 40];
    const differing = exo.scope(() => {
      const { ours } = productOf(weight, rows, columns);
      const x = exo.fromFloat32(repeatable(most * columns, 3), [most, columns]);
      const all = ours(x).toFloat32();
      const pieces = [
        [0, 9],
        [3, 20],
        [17, 40],
        [24, 39],
      ] as const;
      return pieces.filter(([from, to]) => {
        const piece = ours(x.slice(0, from, to)).toFloat32();
        return piece.some((value, i) => !Object.is(value, all[from * rows + i]));
      });
    });
    expect(differing).toEqual([]);
  });

  test("what is no number, infinite or very large comes out as from floats, in its own row only", () => {
    const [rows, columns, count] = [20, 256, 12];
    const special = [
      [1, 5, Number.NaN],
      [3, 0, Infinity],
      [4, 255, -Infinity],
      [6, 70, 1e33],
      [7, 9, -3e38],
    ] as const;
    const given = repeatable(count * columns, 5);
    for (const [row, column, value] of special) given[row * columns + column] = value;
    const kinds = exo.scope(() => {
      const { ours, reference } = productOf(weight, rows, columns);
      const got = ours(exo.fromFloat32(given, [1, count, columns])).toFloat32();
      const wanted = mlx.fromFloat32(given, [1, count, columns]).linear(reference).toFloat32();
      return [...got].filter((value, i) => {
        const other = wanted[i] ?? Number.NaN;
        return !(Object.is(value, other) || Math.abs(value - other) <= 1e-4 * (1 + Math.abs(other)));
      });
    });
    expect(kinds).toEqual([]);
  });

  test("very small values are not lost in a row of their own", () => {
    const [rows, columns, count] = [20, 256, 12];
    const error = exo.scope(() => {
      const { ours, reference } = productOf(weight, rows, columns);
      const given = repeatable(count * columns, 5).map((value) => value * 1e-28);
      const got = ours(exo.fromFloat32(given, [1, count, columns])).toFloat32();
      const wanted = mlx.fromFloat32(given, [1, count, columns]).linear(reference).toFloat32();
      const [a, b] = [[...got], [...wanted]].map((values) => values.map((value) => value * 1e28));
      return root((a ?? []).map((value, i) => value - (b?.[i] ?? Number.NaN))) / root(b ?? []);
    });
    expect(error).toBeLessThan(relative(weight.bits));
  });
});
