/** What every attention cache offers: keys and values of one layer and one sequence, whatever shape they are kept in. */
import type { AttentionOptions, Mlx, MxArray } from "#ffi/array";
import { dtypeBytes } from "#ffi/dtypes";

export type AttentionMask = AttentionOptions["mask"];

/**
 * Keys and values of one layer for one sequence. Arrays made by `update` and `fork` belong to the cache, not to a scope:
 * whoever runs a forward pass inside `mlx.scope` keeps `arrays()` before the scope ends.
 */
export interface Cache {
  /** Absolute position of the next token: rows seen so far, whether or not all are still held. */
  readonly offset: number;
  /** Bytes of memory reserved. */
  readonly nbytes: number;
  /** The arrays held now, to be kept and evaluated. */
  arrays(): readonly MxArray[];
  /** Which keys the next `length` tokens see; to be asked before `update`. */
  mask(length: number, mlx: Mlx): AttentionMask;
  /** Adds rows [B, H, L, D] and answers all keys and values the new tokens may attend to. */
  update(keys: MxArray, values: MxArray): readonly [keys: MxArray, values: MxArray];
  /** Whether the last `count` tokens can be taken back. */
  canTrim(count: number): boolean;
  /** Takes the last `count` tokens back; throws where `canTrim` says no. */
  trim(count: number): void;
  /** A second cache with the first `length` tokens of this one; memory is shared until either of them writes. */
  fork(length: number): Cache;
  dispose(): void;
}

export const bytesOf = ({ shape, dtype }: MxArray): number =>
  shape.reduce((count, size) => count * size, dtypeBytes(dtype));

/** Rows of [B, H, S, D]. */
export const rowsOf = (x: MxArray): number => x.shape[2] ?? 0;

/** Rows start ≤ i < stop as an array that no scope owns. */
export const ownRows = (x: MxArray, start: number, stop: number): MxArray =>
  x.mlx.scope((keep) => keep(x.slice(2, start, stop)));

/** Zero rows of the shape of `like`, to be written later. */
export function emptyRows(like: MxArray, rows: number): MxArray {
  const [batch = 1, heads = 1, , dims = 1] = like.shape;
  return like.mlx.zeros([batch, heads, rows, dims], like.dtype);
}

/** Memory is reserved in steps of so many rows, so that a decode step copies one row and not the whole cache. */
export const ROW_STEP = 256;
export const roundUp = (rows: number): number => Math.ceil(rows / ROW_STEP) * ROW_STEP;
