/** Products with few rows, as requests that decode together make them. */
import { expect, test } from "bun:test";
import { builtMlx } from "./built-library.ts";
import { packings } from "./plain-arrays.ts";

const mlx = builtMlx({ device: "cpu", kernels: "exo" });
const ROWS_MAX = 8;
const wave = (count: number, step: number) =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(i * step));

const sizes = [
  [40, 128],
  [37, 576 + 64],
  [5, 2304],
] as const;

test.each(packings)("each of up to 8 rows is the same to the last bit alone and beside others: %j", (how) => {
  const differing = sizes.flatMap(([rows, columns]) =>
    mlx.scope(() => {
      const weight = mlx.quantize(mlx.fromFloat32(wave(rows * columns, 0.7), [rows, columns]), how);
      const x = mlx.fromFloat32(wave(ROWS_MAX * columns, 0.3), [ROWS_MAX, columns]);
      const alone = Array.from({ length: ROWS_MAX }, (_, row) => [
        ...x
          .slice(0, row, row + 1)
          .quantizedLinear(weight)
          .toFloat32(),
      ]).flat();
      return Array.from({ length: ROWS_MAX }, (_, i) => i + 1).filter((count) => {
        const together = x.slice(0, 0, count).quantizedLinear(weight).toFloat32();
        return together.some((value, i) => !Object.is(value, alone[i]));
      });
    }),
  );
  expect(differing).toEqual([]);
});
