import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Mlx } from "./array.ts";
import { builtLibrary } from "./built-library.ts";
import { createMlx } from "./native.ts";
import { repeatable } from "./plain-arrays.ts";

const library = builtLibrary();
const exo = createMlx(library, { device: "cpu", kernels: "exo" });
const mlx = createMlx(library, { device: "cpu", kernels: "mlx" });

interface Case {
  readonly rows: number;
  readonly groups: number;
  readonly count: number;
  readonly bits: 0 | 4 | 8;
  readonly groupSize: 32 | 64 | 128;
  readonly type: "float32" | "float16" | "bfloat16";
}

/** The product as `on` computes it; the reference unpacks the weight in float32 and multiplies with MLX. */
function product(on: Mlx, { rows, groups, count, bits, groupSize, type }: Case): Float32Array {
  const columns = groups * groupSize;
  return on.scope(() => {
    const x = on.fromFloat32(repeatable(count * columns, 7), [1, count, columns]);
    const weight = on.fromFloat32(repeatable(rows * columns, 11), [rows, columns]);
    if (bits === 0) {
      const dense = weight.astype(type);
      return on === mlx ? x.linear(dense.astype("float32")).toFloat32() : x.linear(dense).toFloat32();
    }
    const packed = mlx.quantize(weight, { mode: "affine", bits, groupSize });
    if (on === mlx) {
      const [scales, biases] = [
        packed.scales.astype(type).astype("float32"),
        packed.biases?.astype(type).astype("float32"),
      ];
      const table = mlx.dequantize({ ...packed, scales, ...(biases && { biases }) }, "float32");
      return x.linear(table).toFloat32();
    }
    const [scales, biases] = [packed.scales.astype(type), packed.biases?.astype(type)];
    return x.quantizedLinear({ ...packed, scales, ...(biases && { biases }) }).toFloat32();
  });
}

const cases = fc.record<Case>({
  rows: fc.integer({ min: 1, max: 70 }),
  groups: fc.integer({ min: 1, max: 12 }),
  count: fc.integer({ min: 1, max: 20 }),
  bits: fc.constantFrom(0, 4, 8),
  groupSize: fc.constantFrom(32, 64, 128),
  type: fc.constantFrom("float32", "float16", "bfloat16"),
});

test("our products equal the unpacked product in float32, whatever the shape, width and type", () => {
  fc.assert(
    fc.property(cases, (shape) => {
      const [got, wanted] = [product(exo, shape), product(mlx, shape)];
      // Sums of n terms of size one differ by rounding only.
      const bound = 4e-6 * shape.groups * shape.groupSize;
      return (
        got.length === wanted.length &&
        got.every((value, i) => Math.abs(value - (wanted[i] ?? Number.NaN)) <= bound)
      );
    }),
    { numRuns: 300 },
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
  const shape: Case = { rows: 333, groups: 9, count: 1, bits: 4, groupSize: 64, type: "float16" };
  expect(product(exo, shape)).toEqual(product(exo, shape));
});

test("shapes that do not fit are refused with the operation and the shapes", () => {
  const attempt = () =>
    exo.scope(() =>
      exo.fromFloat32(repeatable(8, 1), [1, 8]).linear(exo.fromFloat32(repeatable(12, 1), [2, 6])),
    );
  expect(attempt).toThrow("linear");
});
