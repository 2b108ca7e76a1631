/** Operations against the same thing said in plain TypeScript, over random shapes and values. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { builtMlx } from "./built-library.ts";
import {
  arrayOf,
  at,
  check,
  close,
  type Plain,
  plain,
  positions,
  sizes,
  value,
  valuesOf,
} from "./plain-arrays.ts";

const mlx = builtMlx();

/** Two arrays whose shapes broadcast: the second one drops leading axes and shrinks some to 1. */
const pair = sizes.chain((shape) =>
  fc
    .tuple(fc.integer({ min: 0, max: shape.length }), fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }))
    .chain(([drop, ones]) =>
      fc.tuple(valuesOf(shape), valuesOf(shape.map((n, i) => (ones[i] ? 1 : n)).slice(drop))),
    ),
);

test("arithmetic and comparisons of two arrays and of an array and a number", () => {
  check(mlx, fc.tuple(pair, value), ([[a, b], n]) => {
    const both = (work: (x: number, y: number) => number): Plain => ({
      shape: a.shape,
      values: positions(a.shape).map((p) => Math.fround(work(at(a, p), at(b, p)))),
    });
    const one = (work: (x: number) => number): Plain => ({
      shape: a.shape,
      values: a.values.map((x) => Math.fround(work(x))),
    });
    const [x, y] = [arrayOf(a, mlx), arrayOf(b, mlx)];
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
  check(mlx, plain, (a) => {
    const x = arrayOf(a, mlx);
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
    mlx,
    plain.chain((a) =>
      fc.tuple(fc.constant(a), fc.integer({ min: -a.shape.length, max: a.shape.length - 1 })),
    ),
    ([a, axis]) => {
      const x = arrayOf(a, mlx);
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
    mlx,
    plain.chain((a) => fc.tuple(fc.constant(a), fc.nat({ max: a.shape.length - 1 }), fc.nat())),
    ([a, axis, seed]) => {
      const x = arrayOf(a, mlx);
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
