/** What every attention cache offers: keys and values of one layer and one sequence, whatever shape they are kept in. */
import type { AttentionOptions, CacheSlot, Dtype, Mlx, MxArray } from "#ffi/array";

export type AttentionMask = AttentionOptions["mask"];

/** What one token adds to a layer's cache, for a cache that holds nothing yet. */
export interface RowShape {
  readonly heads: number;
  readonly keyDims: number;
  readonly valueDims: number;
  /** What is computed in; kept so, where the cache was told no type. */
  readonly dtype: Dtype;
}

/**
 * Keys and values of one layer for one sequence. Arrays made by `update`, `append` and `fork` belong to the cache, not to a
 * scope: whoever runs a forward pass inside `mlx.scope` keeps `arrays()` before the scope ends.
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
  /**
   * Makes room for one token, which then counts as added: `MxArray.cachedAttention` writes its row, and has to be computed
   * before the next token comes.
   */
  append(row: RowShape, mlx: Mlx): CacheSlot;
  /** Whether the last `count` tokens can be taken back. */
  canTrim(count: number): boolean;
  /** Takes the last `count` tokens back; throws where `canTrim` says no. */
  trim(count: number): void;
  /** A second cache with the first `length` tokens of this one; memory is shared until either of them writes. */
  fork(length: number): Cache;
  dispose(): void;
}

export type Pair = readonly [keys: MxArray, values: MxArray];
