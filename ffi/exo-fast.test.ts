import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Mlx, Quantisation } from "./array.ts";
import { builtLibrary } from "./built-library.ts";
import { createMlx } from "./native.ts";
import { columnsOf, nearProducts, packings, repeatable, withScales } from "./plain-arrays.ts";

const library = builtLibrary();
const exo = createMlx(library, { device: "cpu", kernels: "exo" });
const mlx = createMlx(library, { device: "cpu", kernels: "mlx" });

interface Case {
  readonly rows: number;
  readonly groups: number;
  readonly count: number;
  readonly packing: Quantisation | undefined;
  readonly type: "float32" | "float16" | "bfloat16";
}

/** The product as `on` computes it; the reference unpacks the weight in float32 and multiplies with MLX. */
function product(on: Mlx, shape: Case): Float32Array {
  const { rows, groups, count, packing, type } = shape;
  const columns = columnsOf(groups, packing);
  const plain = on === mlx ? "float32" : type;
  return on.scope(() => {
    const x = on.fromFloat32(repeatable(count * columns, 7), [1, count, columns]);
    const weight = on.fromFloat32(repeatable(rows * columns, 11), [rows, columns]);
    if (packing === undefined) return x.linear(weight.astype(type).astype(plain)).toFloat32();
    const packed = withScales(withScales(mlx.quantize(weight, packing), type), plain);
    return on === mlx
      ? x.linear(mlx.dequantize(packed, "float32")).toFloat32()
      : x.quantizedLinear(packed).toFloat32();
  });
}

const cases = fc.record<Case>({
  rows: fc.integer({ min: 1, max: 70 }),
  groups: fc.integer({ min: 1, max: 12 }),
  count: fc.integer({ min: 1, max: 20 }),
  packing: fc.constantFrom(undefined, ...packings),
  type: fc.constantFrom("float32", "float16", "bfloat16"),
});

test("our products equal the unpacked product in float32, whatever the shape, width and type", () => {
  fc.assert(
    fc.property(cases, (shape) => {
      const columns = columnsOf(shape.groups, shape.packing);
      return nearProducts(product(exo, shape), product(mlx, shape), columns);
    }),
    { numRuns: 1000 },
  );
});

test("a product of an x that is not laid out in rows is right", () => {
  const [got, wanted] = [exo, mlx].map((on) =>
    on.scope(() => {
      const x = on.fromFloat32(repeatable(64 * 5, 3), [64, 5]).transpose(1, 0);
      return x.linear(on.fromFloat32(repeatable(64 * 9, 5), [9, 64])).toFloat32();
    }),
  );
  const apart = got?.map((value, i) => Math.abs(value - (wanted?.[i] ?? Number.NaN)));
  expect(Math.max(...(apart ?? [Number.NaN]))).toBeLessThan(1e-4);
});

test("the same product gives the same bits every time", () => {
  const packing = { mode: "affine", bits: 4, groupSize: 64 } as const;
  const shape: Case = { rows: 333, groups: 9, count: 1, packing, type: "float16" };
  expect(product(exo, shape)).toEqual(product(exo, shape));
});

test("shapes that do not fit are refused with the operation and the shapes", () => {
  const attempt = () =>
    exo.scope(() =>
      exo.fromFloat32(repeatable(8, 1), [1, 8]).linear(exo.fromFloat32(repeatable(12, 1), [2, 6])),
    );
  expect(attempt).toThrow("linear");
});

test.each([
  ["mxfp4", 4, 32],
  ["mxfp8", 8, 32],
  ["nvfp4", 4, 16],
] as const)("%s: every code under every scale is the number that MLX unpacks", (mode, bits, groupSize) => {
  const columns = 256;
  // A row for each scale, a column for each byte of codes.
  const bytes = Uint8Array.from({ length: (256 * columns * bits) / 8 }, (_, i) => i % 256);
  const scale = Int32Array.from({ length: (256 * columns) / groupSize }, (_, i) =>
    Math.floor((i * groupSize) / columns),
  );
  const unit = Float32Array.from({ length: columns * columns }, (_, i) => (i % (columns + 1) === 0 ? 1 : 0));
  const [got, wanted] = [exo, mlx].map((on) =>
    on.scope(() => {
      const weight = on.fromUint32(new Uint32Array(bytes.buffer), [256, (columns * bits) / 32]);
      const scales = on.fromInt32(scale, [256, columns / groupSize]).astype("uint8");
      const held = { mode, bits, groupSize, weight, scales };
      const x = on.fromFloat32(unit, [columns, columns]);
      const made = on === mlx ? mlx.dequantize(held, "float32").transpose(1, 0) : x.quantizedLinear(held);
      return [...made.toFloat32()];
    }),
  );
  // The last scales make infinite weights, and so no number of a sum; a sum's zero has no sign.
  const finite = (values: readonly number[] | undefined) =>
    values?.filter((_, i) => i % 256 < 245).map((value) => value + 0);
  expect(finite(got)).toEqual(finite(wanted));
});
