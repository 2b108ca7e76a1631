/** The fake against MLX itself: the same random program on both gives the same shapes, types and refusals. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Dtype, Mlx, MxArray } from "./array.ts";
import { builtMlx } from "./built-library.ts";
import { MlxError } from "./call.ts";
import { dtypes, promote } from "./dtypes.ts";
import { createShapes } from "./shapes.ts";

/** MLX alone: our own kernels refuse in their own words. */
const native = builtMlx({ device: "cpu", kernels: "mlx" });

test("types promote as MLX promotes them", () => {
  const pairs = dtypes.flatMap((a) => dtypes.map((b) => [a, b] as const));
  const ask = ([a, b]: readonly [Dtype, Dtype]): string =>
    native.scope(() => `${a} ${b} ${native.zeros([1], a).maximum(native.zeros([1], b)).dtype}`);
  // complex64 has no order, but promotes all the same.
  expect(pairs.map(ask)).toEqual(pairs.map(([a, b]) => `${a} ${b} ${promote(a, b)}`));
});

/** One step of a program: from the arrays so far to the next one. */
type Step = (stack: readonly MxArray[], mlx: Mlx) => MxArray;

const size = fc.integer({ min: 1, max: 4 });
const axis = fc.integer({ min: -3, max: 3 });
const pick = fc.nat({ max: 7 });
const kinds: readonly Dtype[] = ["float32", "float16", "bfloat16", "int32", "uint8", "bool"];
const chosen = (stack: readonly MxArray[], index: number): MxArray =>
  stack[stack.length - 1 - (index % stack.length)] as MxArray;

const unary: Record<string, (x: MxArray) => MxArray> = {
  exp: (x) => x.exp(),
  sigmoid: (x) => x.sigmoid(),
  silu: (x) => x.silu(),
  contiguous: (x) => x.contiguous(),
  turned: (x) => x.transpose(),
  flat: (x) => x.reshape(-1),
  numbers: (x) => x.add(1).mul(0.5).sub(2),
  halved: (x) => x.div(2),
};
const byAxis: Record<string, (x: MxArray, axis: number) => MxArray> = {
  sum: (x, a) => x.sum(a),
  mean: (x, a) => x.mean(a, true),
  max: (x, a) => x.max(a),
  argmax: (x, a) => x.argmax(a),
  argsort: (x, a) => x.argsort(a),
  argpartition: (x, a) => x.argpartition(1, a),
  sort: (x, a) => x.sort(a),
  cumsum: (x, a) => x.cumsum(a),
  logsumexp: (x, a) => x.logsumexp(a, true),
  // Of integers MLX answers floats along the last axis only; of nothing it answers the array itself.
  softmax: (x, a) => (x.shape.includes(0) ? x : x.astype("float16").softmax(a)),
  expandDims: (x, a) => x.expandDims(a),
  squeeze: (x, a) => x.squeeze(a),
  swapaxes: (x, a) => x.swapaxes(a, -1),
};
const binary: Record<string, (x: MxArray, y: MxArray, axis: number) => MxArray> = {
  add: (x, y) => x.add(y),
  div: (x, y) => x.div(y),
  maximum: (x, y) => x.maximum(y),
  less: (x, y) => x.less(y),
  and: (x, y) => x.and(y),
  where: (x, y) => x.greater(0).where(y, 1),
  concat: (x, y, a) => x.concat([y, x], a),
  matmul: (x, y) => x.astype("float32").matmul(y.astype("float16")),
  linear: (x, y) => x.astype("float32").linear(y.astype("float32")),
  siluMul: (x, y) => x.siluMul(y),
  take: (x, y, a) => x.take(y.astype("uint32"), a),
  takeAlongAxis: (x, y, a) => x.takeAlongAxis(y.astype("int32"), a),
  sliceUpdate: (x, y, a) => x.sliceUpdate(y.astype(x.dtype), a, 1),
};

const step: fc.Arbitrary<readonly [string, Step]> = fc.oneof(
  fc
    .tuple(fc.array(size, { minLength: 1, maxLength: 3 }), fc.constantFrom(...kinds))
    .map(([shape, dtype]): [string, Step] => [
      `zeros ${shape} ${dtype}`,
      (_, mlx) => mlx.zeros(shape, dtype),
    ]),
  fc
    .tuple(fc.constantFrom(...Object.keys(unary)), pick)
    .map(([name, p]): [string, Step] => [
      `${name} ${p}`,
      (stack) => (unary[name] ?? ((x) => x))(chosen(stack, p)),
    ]),
  fc
    .tuple(fc.constantFrom(...Object.keys(byAxis)), pick, axis)
    .map(([name, p, a]): [string, Step] => [
      `${name} ${p} axis ${a}`,
      (stack) => (byAxis[name] ?? ((x) => x))(chosen(stack, p), a),
    ]),
  fc
    .tuple(fc.constantFrom(...Object.keys(binary)), pick, pick, axis)
    .map(([name, p, q, a]): [string, Step] => [
      `${name} ${p} ${q} axis ${a}`,
      (stack) => (binary[name] ?? ((x) => x))(chosen(stack, p), chosen(stack, q), a),
    ]),
  fc
    .tuple(pick, axis, fc.nat({ max: 4 }), fc.nat({ max: 5 }))
    .map(([p, a, start, stop]): [string, Step] => [
      `slice ${p} axis ${a} ${start} ${stop}`,
      (stack) => chosen(stack, p).slice(a, start, stop),
    ]),
  fc
    .tuple(pick, fc.array(size, { minLength: 1, maxLength: 3 }))
    .map(([p, shape]): [string, Step] => [
      `broadcastTo ${p} ${shape}`,
      (stack) => chosen(stack, p).broadcastTo(...shape),
    ]),
);

/** What each step gave: a shape and a type, or which operation refused which shapes. */
const outcomes = (mlx: Mlx, steps: readonly Step[]): readonly string[] =>
  mlx.scope(() => {
    const stack = [mlx.zeros([2, 3], "float32"), mlx.zeros([3], "int32")];
    return steps.map((work) => {
      try {
        const made = work(stack, mlx);
        stack.push(made);
        return `[${made.shape}] ${made.dtype}`;
      } catch (error) {
        if (!(error instanceof MlxError)) throw error;
        return `${error.operation} refuses ${JSON.stringify(error.shapes)}`;
      }
    });
  });

test("random programs give the same shapes, types and refusals on both", () => {
  const fake = createShapes();
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 15 }), (program) => {
      const steps = program.map(([, work]) => work);
      const [mine, theirs] = [outcomes(fake, steps), outcomes(native, steps)];
      const differing = program.findIndex((_, i) => mine[i] !== theirs[i]);
      if (differing < 0) return;
      throw new Error(
        `${program[differing]?.[0]}: the fake says ${mine[differing]}, MLX ${theirs[differing]}`,
      );
    }),
    { numRuns: 1000, includeErrorInReport: true },
  );
});

test("layers' operations give the same shapes and types on both", () => {
  const run = (mlx: Mlx): readonly string[] =>
    mlx.scope(() => {
      const x = mlx.zeros([1, 5, 64], "float16");
      const heads = x.reshape(1, 5, 4, 16).transpose(0, 2, 1, 3);
      const keys = heads.slice(1, 0, 2);
      const packed = mlx.quantize(mlx.zeros([3, 32, 64], "float16"), {
        mode: "affine",
        bits: 4,
        groupSize: 32,
      });
      const table = mlx.quantize(mlx.zeros([32, 64], "float32"), { mode: "mxfp4", bits: 4, groupSize: 32 });
      const ids = mlx.zeros([1, 5, 2], "uint32");
      const rows = x.expandDims(-2).expandDims(-2);
      const rope = { dims: 16, traditional: false, base: 10, scale: 1, offset: 3 };
      const made = [
        x.rmsNorm(mlx.zeros([64], "float32"), 1),
        heads.rope(rope),
        heads.attention(keys, keys, { scale: 1, mask: "causal" }),
        heads.attention(keys, keys, { scale: 1, mask: mlx.zeros([5, 5], "bool") }),
        rows.gatherLinear(packed, ids, false),
        rows.gatherLinear(mlx.zeros([3, 32, 64], "float16"), ids, false),
        x.quantizedLinear(table),
        ids.quantizedRows(table, "bfloat16"),
        mlx.dequantize(packed, "float32"),
        packed.weight,
        packed.scales,
        table.scales,
        mlx.categorical(mlx.zeros([3, 9], "float32"), mlx.randomKey(1n)),
        mlx.arange(2, 7, "int32"),
        x.linear(mlx.zeros([8, 64], "float16"), mlx.zeros([8], "float16")),
      ];
      return made.map(({ shape, dtype }) => `[${shape}] ${dtype}`);
    });
  expect(run(createShapes())).toEqual(run(native));
});

test("what a layer is given wrongly is refused by both, naming the same operation", () => {
  const run = (mlx: Mlx): readonly string[] =>
    mlx.scope(() => {
      const x = mlx.zeros([1, 2, 5, 16], "float32");
      const packed = mlx.quantize(mlx.zeros([32, 64], "float32"), { mode: "affine", bits: 4, groupSize: 32 });
      const wrong: readonly (() => unknown)[] = [
        () => x.rmsNorm(mlx.zeros([8], "float32"), 1),
        () => x.rope({ dims: 16, traditional: false, scale: 1, offset: 0 }),
        () => x.rope({ dims: 16, traditional: false, scale: 1, offset: 0, freqs: mlx.zeros([3], "float32") }),
        () => x.attention(mlx.zeros([1, 2, 5, 8], "float32"), x, { scale: 1, mask: "none" }),
        () => x.attention(x, x, { scale: 1, mask: mlx.zeros([7, 7], "bool") }),
        () => x.quantizedLinear(packed),
        () => x.linear(mlx.zeros([4, 4], "float32"), mlx.zeros([4], "float32")),
        () => mlx.quantize(mlx.zeros([2, 48], "float32"), { mode: "affine", bits: 4, groupSize: 32 }),
        () => mlx.fromFloat32(new Float32Array(3), [2, 2]),
        () => x.argpartition(16, -1),
      ];
      return wrong.map((use) => {
        try {
          use();
          return "nothing";
        } catch (error) {
          return error instanceof MlxError ? error.operation : String(error);
        }
      });
    });
  const refused = run(native);
  expect(refused).not.toContain("nothing");
  expect(run(createShapes())).toEqual(refused);
});
