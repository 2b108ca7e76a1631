/** The operations of models' layers against the same thing in plain TypeScript, with MLX's kernels and with ours. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { MxArray } from "./array.ts";
import { builtMlx } from "./built-library.ts";
import { arrayOf, at, check, close, type Plain, positions, valuesOf } from "./plain-arrays.ts";

for (const kernels of ["mlx", "exo"] as const) {
  const mlx = builtMlx({ device: "cpu", kernels });

  test(`${kernels}: matrix products, dense linears with and without bias, normalisation and attention`, () => {
    const size = fc.integer({ min: 1, max: 5 });
    const given = fc
      .tuple(size, size, size)
      .chain(([n, k, m]) => fc.tuple(valuesOf([n, k]), valuesOf([m, k]), valuesOf([m])));
    check(mlx, given, ([a, w, bias]) => {
      const [n = 0, k = 0] = a.shape;
      const m = w.shape[0] ?? 0;
      const dot = (i: number, j: number): number =>
        Array.from({ length: k }, (_, c) => at(a, [i, c]) * at(w, [j, c])).reduce((s, v) => s + v, 0);
      const product: Plain = { shape: [n, m], values: positions([n, m]).map(([i = 0, j = 0]) => dot(i, j)) };
      const [x, weight] = [arrayOf(a, mlx), arrayOf(w, mlx)];
      close(x.matmul(weight.transpose()), product);
      close(x.linear(weight), product);
      close(x.linear(weight, arrayOf(bias, mlx)), {
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

  test(`${kernels}: a causal mask equals its boolean array and grouped heads read their own keys`, () => {
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

  test(`${kernels}: rotary embedding turns the pairs of both layouts by position over period`, () => {
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

  test(`${kernels}: categorical draws follow the probabilities and the key`, () => {
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
}
