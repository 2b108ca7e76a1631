/** Arrays in plain TypeScript, for tests to compare MLX's answers with. */
import { expect } from "bun:test";
import fc from "fast-check";
import type { Dtype, Mlx, MxArray, Packed, Quantisation } from "./array.ts";

export interface Plain {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

export const value = fc.integer({ min: -400, max: 400 }).map((n) => n / 64);
export const valuesOf = (shape: readonly number[]): fc.Arbitrary<Plain> => {
  const size = shape.reduce((a, b) => a * b, 1);
  return fc.array(value, { minLength: size, maxLength: size }).map((values) => ({ shape, values }));
};
export const sizes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 });
export const plain = sizes.chain(valuesOf);
/** The same array on a device. */
export const arrayOf = ({ shape, values }: Plain, mlx: Mlx): MxArray =>
  mlx.fromFloat32(Float32Array.from(values), shape);

/** The value at a position, given as indices per axis, where an axis of 1 stretches. */
export const at = ({ shape, values }: Plain, position: readonly number[]): number => {
  const own = position.slice(position.length - shape.length);
  return (
    values[shape.reduce((index, size, axis) => index * size + (size === 1 ? 0 : (own[axis] ?? 0)), 0)] ??
    Number.NaN
  );
};
/** Every position of an array of this shape, in row-major order. */
export const positions = (shape: readonly number[]): number[][] =>
  shape.reduce<number[][]>(
    (all, size) => all.flatMap((p) => Array.from({ length: size }, (_, i) => [...p, i])),
    [[]],
  );

/** Fails unless shape and values agree to float32's accuracy. */
export const close = (array: MxArray, expected: Plain): void => {
  expect(array.shape).toEqual(expected.shape);
  const worst = [...array.toFloat32()].reduce((most, got, i) => {
    const wanted = expected.values[i] ?? Number.NaN;
    return Object.is(got, wanted) ? most : Math.max(most, Math.abs(got - wanted) / (1 + Math.abs(wanted)));
  }, 0);
  expect(worst).toBeLessThan(2e-6);
};
/** Runs the property in a scope of its own for each of a few dozen random cases. */
export const check = <T>(mlx: Mlx, arbitrary: fc.Arbitrary<T>, property: (value: T) => void): void =>
  fc.assert(
    fc.property(arbitrary, (given) => mlx.scope(() => property(given))),
    { numRuns: 60 },
  );

/** Values in [-most, most) that are the same in every run. */
export function repeatable(count: number, seed: number, most = 1): Float32Array {
  let state = Math.imul(seed + 1, 2654435761) | 1;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state / 2 ** 31) * most;
  });
}

/** The ways in which MLX packs weights: affine ones first. */
export const affine: readonly Quantisation[] = [2, 3, 4, 5, 6, 8].flatMap((bits) =>
  [32, 64, 128].map((groupSize) => ({ mode: "affine" as const, bits, groupSize })),
);
export const floats: readonly Quantisation[] = [
  { mode: "mxfp4", bits: 4, groupSize: 32 },
  { mode: "mxfp8", bits: 8, groupSize: 32 },
  { mode: "nvfp4", bits: 4, groupSize: 16 },
];
export const packings = [...affine, ...floats];

/** With scales and biases of `type`; those of floats have a type of their own, and keep it. */
export function withScales(packed: Packed, type: Dtype): Packed {
  const { biases } = packed;
  if (biases === undefined) return packed;
  return { ...packed, scales: packed.scales.astype(type), biases: biases.astype(type) };
}

/** MLX packs no fewer than 32 columns at once. */
export const columnsOf = (groups: number, packing: Quantisation | undefined): number =>
  groups * Math.max(packing?.groupSize ?? 32, 32);

/**
 * Whether products of `columns` values of size one are the same but for rounding: of the sums, and, which counts most where
 * columns are few, of x to 16 bits.
 */
export const nearProducts = (got: Float32Array, wanted: Float32Array, columns: number): boolean =>
  got.length === wanted.length &&
  got.every((value, i) => Math.abs(value - (wanted[i] ?? Number.NaN)) <= 4e-6 * columns + 1.5e-4);
