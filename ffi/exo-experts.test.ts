/** Our products with chosen experts against MLX's gathered ones, over shapes, widths and orders. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Dtype, Mlx, Quantisation } from "./array.ts";
import { builtLibrary } from "./built-library.ts";
import { createMlx } from "./native.ts";
import { columnsOf, nearProducts, packings, repeatable, withScales } from "./plain-arrays.ts";

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

function product(on: Mlx, shape: Case): Float32Array {
  const { tokens, shared, experts, chosen, rows, groups, packing, type } = shape;
  const columns = columnsOf(groups, packing);
  const plain = on === mlx ? "float32" : type;
  return on.scope(() => {
    const per = shared ? 1 : chosen;
    const x = on.fromFloat32(repeatable(tokens * per * columns, 7), [1, tokens, per, 1, columns]);
    const weight = on.fromFloat32(repeatable(experts * rows * columns, 11), [experts, rows, columns]);
    const index = on.fromInt32(ids(shape), [1, tokens, chosen]);
    if (packing === undefined)
      return x.gatherLinear(weight.astype(type).astype(plain), index, false).toFloat32();
    const packed = withScales(mlx.quantize(weight, packing), type);
    return x.gatherLinear(withScales(packed, plain), index, false).toFloat32();
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
      const columns = columnsOf(shape.groups, shape.packing);
      return nearProducts(product(exo, shape), product(mlx, shape), columns);
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
