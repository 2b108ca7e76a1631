/** Rows of packed tables, as token embeddings are looked up, against MLX's unpacked table. */
import { expect, test } from "bun:test";
import type { Dtype, Mlx, Quantisation } from "./array.ts";
import { builtLibrary } from "./built-library.ts";
import { createMlx } from "./native.ts";
import { packings, repeatable, withScales } from "./plain-arrays.ts";

const library = builtLibrary();
const exo = createMlx(library, { device: "cpu", kernels: "exo" });
const mlx = createMlx(library, { device: "cpu", kernels: "mlx" });
const TABLE_ROWS = 20;

/** Rows 3, 0, 19, the last, 3 of a table whose scales are of `type`. */
function rows(
  on: Mlx,
  packing: Quantisation,
  type: Dtype,
  as: Dtype,
): { shape: readonly number[]; values: number[] } {
  const columns = packing.groupSize * 10;
  return on.scope(() => {
    const table = mlx.fromFloat32(repeatable(TABLE_ROWS * columns, 5), [TABLE_ROWS, columns]);
    const ids = on.fromInt32(Int32Array.of(3, 0, 19, -1, 3), [1, 5]);
    const made = ids.quantizedRows(withScales(mlx.quantize(table, packing), type), as);
    return { shape: made.shape, values: [...made.toFloat32()] };
  });
}

const types: readonly Dtype[] = ["float32", "float16", "bfloat16"];
test.each(packings)("rows are those of the table that MLX unpacks: %j", (packing) => {
  for (const type of types) {
    // MLX computes in the type of the scales, which we do not round to.
    const [got, wanted] = [rows(exo, packing, type, "float32"), rows(mlx, packing, type, "float32")];
    const within =
      packing.mode !== "affine" ? 0 : { float32: 1e-6, float16: 2e-3, bfloat16: 2e-2 }[type as "float32"];
    const apart = got.values.map((value, i) => Math.abs(value - (wanted.values[i] ?? Number.NaN)));
    expect([got.shape, Math.max(...apart) <= within]).toEqual([wanted.shape, true]);
    for (const as of ["float16", "bfloat16"] as const) {
      const rounded = exo.scope(() => [
        ...exo.fromFloat32(Float32Array.from(got.values), got.shape).astype(as).toFloat32(),
      ]);
      expect(rows(exo, packing, type, as).values).toEqual(rounded);
    }
  }
});

test("a row that does not exist is no number, and the others are there", () => {
  const [packing] = packings;
  if (packing === undefined) throw new Error("there are packings");
  const got = exo.scope(() => {
    const packed = exo.quantize(exo.full([4, 32], 1, "float32"), { ...packing, groupSize: 32 });
    return exo
      .fromInt32(Int32Array.of(1, 4, -5, 2), [4])
      .quantizedRows(packed, "float32")
      .slice(1, 0, 1)
      .toFloat32();
  });
  expect([...got].map((value) => Math.round(value))).toEqual([1, Number.NaN, Number.NaN, 1]);
});
