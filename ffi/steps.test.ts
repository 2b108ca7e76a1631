/** The steps of a layer against the operations that they stand for; random cases are the shim's fuzz. */
import { expect, test } from "bun:test";
import type { MxArray, Packed } from "./array.ts";
import { builtMlx } from "./built-library.ts";
import { linearLayer } from "./nn/linear.ts";
import { rmsNormLayer } from "./nn/norm.ts";
import { repeatable } from "./plain-arrays.ts";
import { atOnce, attentionStep, gatedStep } from "./steps.ts";
import type { Projection } from "./weights.ts";

const exo = builtMlx({ device: "cpu", kernels: "exo" });
const mlx = builtMlx({ device: "cpu", kernels: "mlx" });

const given = (shape: readonly number[], seed: number, on = exo): MxArray =>
  on.fromFloat32(
    repeatable(
      shape.reduce((a, b) => a * b, 1),
      seed,
      1,
    ),
    shape,
  );
const packed = (rows: number, columns: number, seed: number): Packed =>
  exo.quantize(given([rows, columns], seed), { mode: "affine", bits: 4, groupSize: 32 });
const bits = (arrays: readonly MxArray[] | undefined): readonly Float32Array[] | undefined =>
  arrays?.map((each) => each.toFloat32());

const norm = rmsNormLayer(given([64], 1), 1e-5);
const q: Projection = linearLayer(packed(64, 64, 2), given([64], 3));
const k: Projection = linearLayer(packed(32, 64, 4), undefined);
const v: Projection = linearLayer(given([32, 64], 5).astype("float16"), undefined);
const out: Projection = linearLayer(packed(64, 64, 6), undefined);
const up: Projection = linearLayer(packed(96, 64, 7), undefined);
const down: Projection = linearLayer(packed(64, 96, 8), undefined);

test("a gated step is the sum, and the feed-forward layer of its norm", () => {
  const gate = linearLayer(packed(96, 64, 9), undefined);
  for (const rows of [1, 3, 12]) {
    const [x, y] = [given([rows, 1, 64], rows), given([rows, 1, 64], rows + 20)];
    const [sum, normed] = norm.ofSum(x, y);
    const wanted = [sum, down(gate(normed).siluMul(up(normed)))];
    expect(bits(gatedStep(norm, [gate, up, down])(x, y))).toEqual(bits(wanted));
  }
});

test("an attention step is the sum, and the attention of its norm over what the caches hold then", () => {
  const heads = [rmsNormLayer(given([16], 10), 1e-6), rmsNormLayer(given([16], 11), 1e-6)] as const;
  const slotsOf = () =>
    [0, 1].map((b) => {
      const [keys, values] = [given([1, 2, 9, 16], 12 + b).contiguous(), given([1, 2, 9, 16], 14 + b)];
      return { keys: keys.eval(), values: values.contiguous().eval(), position: 5 + b, row: 5, seen: 6 };
    });
  const options = { scale: 0.25, rotation: { dims: 16, traditional: false, base: 10000, scale: 1 } };
  const x = given([2, 1, 64], 16);
  const normed = norm.of(x);
  const [one, other] = [slotsOf(), slotsOf()];
  const found = bits(attentionStep(norm, [q, k, v, out], heads)(x, undefined, one, options));
  const asked = heads[0].of(q(normed).reshape(2, 4, 1, 16));
  const made = out(
    asked.cachedAttention(heads[1].of(k(normed).reshape(2, 2, 1, 16)), v(normed), other, options),
  );
  expect(found).toEqual(bits([x, made]));
  expect(bits(one.flatMap(({ keys, values }) => [keys, values]))).toEqual(
    bits(other.flatMap(({ keys, values }) => [keys, values])),
  );
});

test("what is computed as it is made is the same, and what waits for others waits on", () => {
  const step = gatedStep(norm, [up, up, down]);
  const [x, y] = [given([2, 1, 64], 18), given([2, 1, 64], 19)];
  const chain = (from: MxArray) => {
    const [sum, made] = step(from, y) ?? [];
    return sum && made
      ? [sum, made, norm.of(made), q(made).slice(0, 0, 1).squeeze(0), down(up(made)).squeeze(1)]
      : [];
  };
  const wanted = bits(chain(x));
  expect(bits(atOnce(exo, () => chain(x)))).toEqual(wanted);
  expect(bits(atOnce(exo, () => chain(x.add(0))))).toEqual(wanted);
  expect(bits(atOnce(mlx, () => [given([1], 1, mlx)]))).toEqual(bits([given([1], 1)]));
});

test("what our kernels do not compute as a step is left to the caller", () => {
  const step = gatedStep(norm, [up, up, down]);
  expect(step(given([1, 1, 64], 1, mlx), undefined)).toBeUndefined();
  expect(step(given([1, 1, 64], 1).astype("float16"), undefined)).toBeUndefined();
  expect(step(given([1, 1, 32], 1), undefined)).toBeUndefined();
  expect(gatedStep(norm, [up, q, down])(given([1, 1, 64], 1), undefined)).toBeUndefined();
});

test("a weight that was freed is named by its step", () => {
  const freed = given([96, 64], 17);
  const step = gatedStep(norm, [linearLayer(freed, undefined), up, down]);
  freed.dispose();
  expect(() => step(given([1, 1, 64], 1), undefined)).toThrow("after it was freed");
});
