/** Our products with chosen experts against MLX's gathered ones, over shapes, widths and orders. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Dtype, Mlx, MxArray, Quantisation } from "./array.ts";
import { builtLibrary } from "./built-library.ts";
import { createMlx } from "./native.ts";
import { packings, repeatable } from "./plain-arrays.ts";

const library = builtLibrary();
const exo = createMlx(library, { device: "cpu", kernels: "exo" });
const mlx = createMlx(library, { device: "cpu", kernels: "mlx" });

interface Case {
  readonly tokens: number;
  /** Whether each token's experts share one row of x, or have their own. */
  readonly shared: boolean;
  readonly experts: number;
  readonly chosen: number;
  readonly rows: number;
  readonly groups: number;
  readonly packing: Quantisation | undefined;
  readonly type: Dtype;
}

const ids = ({ tokens, chosen, experts }: Case): Int32Array =>
  Int32Array.from(repeatable(tokens * chosen, 5), (value) => Math.floor(((value + 1) / 2) * experts));

/** MLX packs no fewer than 32 columns at once. */
const columnsOf = ({ groups, packing }: Case): number => groups * Math.max(packing?.groupSize ?? 32, 32);

function product(on: Mlx, shape: Case): Float32Array {
  const { tokens, shared, experts, chosen, rows, packing, type } = shape;
  const columns = columnsOf(shape);
  return on.scope(() => {
    const per = shared ? 1 : chosen;
    const x = on.fromFloat32(repeatable(tokens * per * columns, 7), [1, tokens, per, 1, columns]);
    const weight = on.fromFloat32(repeatable(experts * rows * columns, 11), [experts, rows, columns]);
    const index = on.fromInt32(ids(shape), [1, tokens, chosen]);
    if (packing === undefined)
      return x
        .gatherLinear(weight.astype(type).astype(on === mlx ? "float32" : type), index, false)
        .toFloat32();
    const packed = mlx.quantize(weight, packing);
    const kept = (part: MxArray) => part.astype(type).astype(on === mlx ? "float32" : type);
    const { biases } = packed;
    const scales = biases === undefined ? packed.scales : kept(packed.scales);
    const held = { ...packed, scales, ...(biases && { biases: kept(biases) }) };
    return x.gatherLinear(held, index, false).toFloat32();
  });
}

const cases = fc.record<Case>({
  tokens: fc.integer({ min: 1, max: 12 }),
  shared: fc.boolean(),
  experts: fc.integer({ min: 1, max: 9 }),
  chosen: fc.integer({ min: 1, max: 4 }),
  rows: fc.integer({ min: 1, max: 40 }),
  groups: fc.integer({ min: 1, max: 9 }),
  packing: fc.constantFrom(undefined, ...packings),
  type: fc.constantFrom<Dtype>("float32", "float16", "bfloat16"),
});

test("chosen experts give what MLX's gathered products give, whatever the shape, width and type", () => {
  fc.assert(
    fc.property(cases, (shape) => {
      const [got, wanted] = [product(exo, shape), product(mlx, shape)];
      // Sums of n terms of size one differ by rounding; that of x to 16 bits counts most where they are few.
      const bound = 4e-6 * columnsOf(shape) + 1.5e-4;
      return (
        got.length === wanted.length &&
        got.every((value, i) => Math.abs(value - (wanted[i] ?? Number.NaN)) <= bound)
      );
    }),
    { numRuns: 600 },
  );
});

test("an expert that does not exist answers NaN, and the others answer", () => {
  const got = exo.scope(() => {
    const x = exo.fromFloat32(Float32Array.of(1, 2), [1, 1, 1, 2]);
    const weight = exo.fromFloat32(Float32Array.of(1, 0, 0, 1), [2, 1, 2]);
    return x.gatherLinear(weight, exo.fromInt32(Int32Array.of(1, 7, 0), [1, 3]), false).toFloat32();
  });
  expect([...got]).toEqual([2, Number.NaN, 1]);
});
