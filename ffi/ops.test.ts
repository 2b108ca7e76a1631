/** Operations against the same thing said in plain TypeScript, over random shapes and values. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { MxArray } from "./array.ts";
import { builtMlx } from "./built-library.ts";

const mlx = builtMlx();

interface Plain {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

const value = fc.integer({ min: -400, max: 400 }).map((n) => n / 64);
const valuesOf = (shape: readonly number[]): fc.Arbitrary<Plain> => {
  const size = shape.reduce((a, b) => a * b, 1);
  return fc.array(value, { minLength: size, maxLength: size }).map((values) => ({ shape, values }));
};
const sizes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 });
const plain = sizes.chain(valuesOf);
const native = ({ shape, values }: Plain): MxArray => mlx.fromFloat32(Float32Array.from(values), shape);

/** Index of a position, given as indices per axis, where an axis of 1 stretches. */
const at = ({ shape, values }: Plain, position: readonly number[]): number => {
  const own = position.slice(position.length - shape.length);
  return (
    values[shape.reduce((index, size, axis) => index * size + (size === 1 ? 0 : (own[axis] ?? 0)), 0)] ??
    Number.NaN
  );
};
const positions = (shape: readonly number[]): number[][] =>
  shape.reduce<number[][]>(
    (all, size) => all.flatMap((p) => Array.from({ length: size }, (_, i) => [...p, i])),
    [[]],
  );

const close = (array: MxArray, expected: Plain): void => {
  expect(array.shape).toEqual(expected.shape);
  const worst = [...array.toFloat32()].reduce((most, got, i) => {
    const wanted = expected.values[i] ?? Number.NaN;
    return Object.is(got, wanted) ? most : Math.max(most, Math.abs(got - wanted) / (1 + Math.abs(wanted)));
  }, 0);
  expect(worst).toBeLessThan(2e-6);
};
const check = <T>(arbitrary: fc.Arbitrary<T>, property: (value: T) => void): void =>
  fc.assert(
    fc.property(arbitrary, (given) => mlx.scope(() => property(given))),
    { numRuns: 60 },
  );

/** Two arrays whose shapes broadcast: the second one drops leading axes and shrinks some to 1. */
const pair = sizes.chain((shape) =>
  fc
    .tuple(fc.integer({ min: 0, max: shape.length }), fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }))
    .chain(([drop, ones]) =>
      fc.tuple(valuesOf(shape), valuesOf(shape.map((n, i) => (ones[i] ? 1 : n)).slice(drop))),
    ),
);

test("arithmetic and comparisons of two arrays and of an array and a number", () => {
  check(fc.tuple(pair, value), ([[a, b], n]) => {
    const both = (work: (x: number, y: number) => number): Plain => ({
      shape: a.shape,
      values: positions(a.shape).map((p) => Math.fround(work(at(a, p), at(b, p)))),
    });
    const one = (work: (x: number) => number): Plain => ({
      shape: a.shape,
      values: a.values.map((x) => Math.fround(work(x))),
    });
    const [x, y] = [native(a), native(b)];
    close(
      x.add(y),
      both((p, q) => p + q),
    );
    close(
      x.sub(y),
      both((p, q) => p - q),
    );
    close(
      x.mul(y),
      both((p, q) => p * q),
    );
    close(
      x.div(y),
      both((p, q) => p / q),
    );
    close(x.maximum(y), both(Math.max));
    close(
      x.greater(y),
      both((p, q) => Number(p > q)),
    );
    close(
      x.greaterEqual(y),
      both((p, q) => Number(p >= q)),
    );
    close(
      x.less(y),
      both((p, q) => Number(p < q)),
    );
    close(
      x.lessEqual(y),
      both((p, q) => Number(p <= q)),
    );
    close(
      x.greater(0).and(y.greater(0)),
      both((p, q) => Number(p > 0 && q > 0)),
    );
    close(
      x.add(n),
      one((p) => p + n),
    );
    close(
      x.sub(n),
      one((p) => p - n),
    );
    close(
      x.mul(n),
      one((p) => p * n),
    );
    close(
      x.less(n),
      one((p) => Number(p < n)),
    );
    close(
      x.less(0).where(y, n),
      both((p, q) => (p < 0 ? q : n)),
    );
  });
});

test("element-wise functions", () => {
  check(plain, (a) => {
    const x = native(a);
    const one = (work: (x: number) => number): Plain => ({ shape: a.shape, values: a.values.map(work) });
    const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v));
    close(
      x.negative(),
      one((v) => 0 - v),
    );
    close(x.exp(), one(Math.exp));
    close(
      x.maximum(0.5).log(),
      one((v) => Math.log(Math.max(v, 0.5))),
    );
    close(x.sigmoid(), one(sigmoid));
    close(
      x.silu(),
      one((v) => v * sigmoid(v)),
    );
    close(
      x.siluMul(x),
      one((v) => v * sigmoid(v) * v),
    );
  });
});

test("reductions, sorting and softmax along any axis", () => {
  check(
    plain.chain((a) =>
      fc.tuple(fc.constant(a), fc.integer({ min: -a.shape.length, max: a.shape.length - 1 })),
    ),
    ([a, axis]) => {
      const x = native(a);
      const axisAt = axis < 0 ? axis + a.shape.length : axis;
      const outer = a.shape.toSpliced(axisAt, 1);
      const line = (p: readonly number[]): number[] =>
        Array.from({ length: a.shape[axisAt] ?? 0 }, (_, i) => at(a, p.toSpliced(axisAt, 0, i)));
      const reduce = (work: (line: number[]) => number): Plain => ({
        shape: outer,
        values: positions(outer).map((p) => work(line(p))),
      });
      const map = (work: (line: number[]) => number[]): Plain => ({
        shape: a.shape,
        values: positions(a.shape).map(
          (p) => work(line(p.toSpliced(axisAt, 1)))[p[axisAt] ?? 0] ?? Number.NaN,
        ),
      });
      const sum = (line: number[]): number => line.reduce((s, v) => s + v, 0);
      const exps = (line: number[]): number[] => line.map(Math.exp);
      close(x.sum(axis), reduce(sum));
      close(
        x.mean(axis),
        reduce((l) => sum(l) / l.length),
      );
      close(
        x.max(axis),
        reduce((l) => Math.max(...l)),
      );
      close(
        x.argmax(axis),
        reduce((l) => l.indexOf(Math.max(...l))),
      );
      close(
        x.logsumexp(axis),
        reduce((l) => Math.log(sum(exps(l)))),
      );
      close(
        x.softmax(axis),
        map((l) => exps(l).map((e) => e / sum(exps(l)))),
      );
      close(
        x.sort(axis),
        map((l) => l.toSorted((p, q) => p - q)),
      );
      close(
        x.cumsum(axis),
        map((l) => l.map((_, i) => sum(l.slice(0, i + 1)))),
      );
      close(
        x.takeAlongAxis(x.argsort(axis), axis),
        map((l) => l.toSorted((p, q) => p - q)),
      );
      const kth = (a.shape[axisAt] ?? 1) - 1;
      close(
        x
          .takeAlongAxis(x.argpartition(kth, axis), axis)
          .slice(axis, kth, kth + 1)
          .squeeze(axis),
        reduce((l) => Math.max(...l)),
      );
      expect(x.sum(axis, true).shape).toEqual(a.shape.with(axisAt, 1));
    },
  );
});

test("shapes, slices, joining and indexing", () => {
  check(
    plain.chain((a) => fc.tuple(fc.constant(a), fc.nat({ max: a.shape.length - 1 }), fc.nat())),
    ([a, axis, seed]) => {
      const x = native(a);
      const size = a.shape[axis] ?? 1;
      const start = seed % size;
      const part = a.shape.with(axis, size - start);
      const from = (p: readonly number[], shift: number): number =>
        at(a, p.with(axis, (p[axis] ?? 0) + shift));
      close(x.slice(axis, start, size), { shape: part, values: positions(part).map((p) => from(p, start)) });
      close(x.slice(axis, start, size).concat([x.slice(axis, 0, start)], axis), {
        shape: a.shape,
        values: positions(a.shape).map((p) => at(a, p.with(axis, ((p[axis] ?? 0) + start) % size))),
      });
      const first = x.slice(axis, 0, size - start);
      close(x.sliceUpdate(first.negative(), axis, start), {
        shape: a.shape,
        values: positions(a.shape).map((p) => ((p[axis] ?? 0) < start ? at(a, p) : 0 - from(p, -start))),
      });
      const reversed = mlx.fromInt32(
        Int32Array.from({ length: size }, (_, i) => size - 1 - i),
        [size],
      );
      close(x.take(reversed, axis), {
        shape: a.shape,
        values: positions(a.shape).map((p) => at(a, p.with(axis, size - 1 - (p[axis] ?? 0)))),
      });
      const order = a.shape.map((_, i) => i).toReversed();
      const turned = a.shape.toReversed();
      close(x.transpose(...order), {
        shape: turned,
        values: positions(turned).map((p) => at(a, p.toReversed())),
      });
      close(x.transpose().contiguous().transpose(), a);
      close(x.reshape(-1).reshape(...a.shape), a);
      close(x.expandDims(axis).squeeze(axis).swapaxes(0, axis).swapaxes(axis, 0), a);
      close(x.expandDims(0).broadcastTo(2, ...a.shape), {
        shape: [2, ...a.shape],
        values: [...a.values, ...a.values],
      });
      const zero = mlx.zeros(a.shape.with(axis, 1), "int32");
      close(x.putAlongAxis(zero, mlx.full(a.shape.with(axis, 1), 9, "float32"), axis), {
        shape: a.shape,
        values: positions(a.shape).map((p) => (p[axis] === 0 ? 9 : at(a, p))),
      });
    },
  );
});

test("matrix products, dense linears with and without bias, normalisation and attention", () => {
  const size = fc.integer({ min: 1, max: 5 });
  const given = fc
    .tuple(size, size, size)
    .chain(([n, k, m]) => fc.tuple(valuesOf([n, k]), valuesOf([m, k]), valuesOf([m])));
  check(given, ([a, w, bias]) => {
    const [n = 0, k = 0] = a.shape;
    const m = w.shape[0] ?? 0;
    const dot = (i: number, j: number): number =>
      Array.from({ length: k }, (_, c) => at(a, [i, c]) * at(w, [j, c])).reduce((s, v) => s + v, 0);
    const product: Plain = { shape: [n, m], values: positions([n, m]).map(([i = 0, j = 0]) => dot(i, j)) };
    const [x, weight] = [native(a), native(w)];
    close(x.matmul(weight.transpose()), product);
    close(x.linear(weight), product);
    close(x.linear(weight, native(bias)), {
      shape: [n, m],
      values: product.values.map((v, i) => v + (bias.values[i % m] ?? 0)),
    });
    const ones = mlx.full([k], 2, "float32");
    close(x.rmsNorm(ones, 1e-5), {
      shape: a.shape,
      values: positions(a.shape).map((p) => {
        const row = Array.from({ length: k }, (_, c) => at(a, [p[0] ?? 0, c]));
        return (2 * at(a, p)) / Math.sqrt(row.reduce((s, v) => s + v * v, 0) / k + 1e-5);
      }),
    });
    const keys = weight.reshape(1, 1, m, k);
    const scores = product.values.map((v) => Math.exp(0.1 * v));
    const total = (i: number): number => scores.slice(i * m, i * m + m).reduce((s, v) => s + v, 0);
    close(x.reshape(1, 1, n, k).attention(keys, keys, { scale: 0.1, mask: "none" }), {
      shape: [1, 1, n, k],
      values: positions([n, k]).map(([i = 0, c = 0]) =>
        Array.from({ length: m }, (_, j) => ((scores[i * m + j] ?? 0) / total(i)) * at(w, [j, c])).reduce(
          (s, v) => s + v,
          0,
        ),
      ),
    });
  });
});

test("a causal mask equals its boolean array and grouped heads read their own keys", () => {
  mlx.scope(() => {
    const random = (shape: readonly number[], step: number): MxArray =>
      mlx.fromFloat32(
        Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * step)),
        shape,
      );
    const [q, k, v] = [random([1, 4, 3, 8], 0.7), random([1, 2, 5, 8], 0.3), random([1, 2, 5, 8], 0.9)];
    const [rows, columns] = [
      mlx.arange(2, 5, "int32").reshape(3, 1),
      mlx.arange(0, 5, "int32").reshape(1, 5),
    ];
    const causal = q.attention(k, v, { scale: 0.3, mask: "causal" }).toFloat32();
    const masked = q.attention(k, v, { scale: 0.3, mask: rows.greaterEqual(columns) }).toFloat32();
    const secondPair = q
      .slice(1, 2, 4)
      .attention(k.slice(1, 1, 2), v.slice(1, 1, 2), { scale: 0.3, mask: "causal" });
    const furthest = (a: Float32Array, b: Float32Array): number =>
      Math.max(...a.map((x, i) => Math.abs(x - (b[i] ?? 0))));
    expect(furthest(causal, masked)).toBeLessThan(1e-6);
    expect(furthest(causal.slice(48), secondPair.toFloat32())).toBeLessThan(1e-6);
  });
});

test("rotary embedding turns the pairs of both layouts by position over period", () => {
  mlx.scope(() => {
    const x = mlx.fromFloat32(
      Float32Array.from({ length: 12 }, (_, i) => i + 1),
      [1, 1, 2, 6],
    );
    const turn = (row: number, pairs: readonly (readonly [number, number])[]): number[] => {
      const values = Array.from({ length: 6 }, (_, i) => row * 6 + i + 1);
      const turned = [...values];
      for (const [i, [a, b]] of pairs.entries()) {
        const angle = (5 + row) / 100 ** (i / 2);
        const [p = 0, q = 0] = [values[a], values[b]];
        turned[a] = p * Math.cos(angle) - q * Math.sin(angle);
        turned[b] = p * Math.sin(angle) + q * Math.cos(angle);
      }
      return turned;
    };
    const options = { dims: 4, base: 100, scale: 1, offset: 5 };
    const halves = [0, 1].flatMap((row) =>
      turn(row, [
        [0, 2],
        [1, 3],
      ]),
    );
    const neighbours = [0, 1].flatMap((row) =>
      turn(row, [
        [0, 1],
        [2, 3],
      ]),
    );
    close(x.rope({ ...options, traditional: false }), { shape: [1, 1, 2, 6], values: halves });
    close(x.rope({ ...options, traditional: true }), { shape: [1, 1, 2, 6], values: neighbours });
  });
});

test("categorical draws follow the probabilities and the key", () => {
  mlx.scope(() => {
    const rows = mlx.fromFloat32(Float32Array.of(Math.log(1), Math.log(3)), [1, 2]).broadcastTo(20_000, 2);
    const draw = (seed: bigint): Int32Array => mlx.categorical(rows, mlx.randomKey(seed)).toInt32();
    const [first, again, other] = [draw(1n), draw(1n), draw(2n)];
    const share = first.reduce((sum, v) => sum + v, 0) / first.length;
    // Four standard deviations of 20,000 draws with probability 3/4.
    expect(Math.abs(share - 0.75)).toBeLessThan(0.0123);
    expect(first).toEqual(again);
    expect(first).not.toEqual(other);
  });
});
