/** What every attention cache offers: keys and values of one layer and one sequence, whatever shape they are kept in. */
import {
  type AttentionOptions,
  type CacheSlot,
  type Dtype,
  type Mlx,
  type MxArray,
  packedWidth,
} from "#ffi/array";
import { dtypeBytes } from "#ffi/dtypes";
import type { KvQuant } from "#protocol/shard";

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

export const bytesOf = ({ shape, dtype }: MxArray): number =>
  shape.reduce((count, size) => count * size, dtypeBytes(dtype));

/** Rows of [B, H, S, D]. */
export const rowsOf = (x: MxArray): number => x.shape[2] ?? 0;

/** Rows start ≤ i < stop as an array that no scope owns. */
export const ownRows = (x: MxArray, start: number, stop: number): MxArray =>
  x.mlx.scope((keep) => keep(x.slice(2, start, stop)));

/** Rows as a cache of this type keeps them. */
export const kept = (x: MxArray, as: KvQuant | undefined): MxArray => {
  if (as === undefined) return x;
  return as === "q8" ? x.packRows() : x.astype(floats[as]);
};

const floats = { f32: "float32", f16: "float16", bf16: "bfloat16" } as const;

/** Zero rows of the shape of `like`, to be written later. */
export function emptyRows(like: MxArray, rows: number): MxArray {
  const [batch = 1, heads = 1, , dims = 1] = like.shape;
  return like.mlx.zeros([batch, heads, rows, dims], like.dtype);
}

/** Memory of its own for `rows` keys and values, none of them written yet. */
export function newRows(row: RowShape, as: KvQuant | undefined, rows: number, mlx: Mlx): Pair {
  const { heads, keyDims, valueDims, dtype } = row;
  const room = (dims: number): MxArray =>
    as === "q8"
      ? mlx.zeros([1, heads, rows, packedWidth(dims)], "uint8").contiguous()
      : mlx.zeros([1, heads, rows, dims], as ? floats[as] : dtype).contiguous();
  return [room(keyDims), room(valueDims)];
}

/** The first `count` rows in memory of their own, with room for `rows` and at least one more, which makes MLX copy. */
export const copiedRows = (held: MxArray, count: number, rows: number): MxArray =>
  held.slice(2, 0, count).concat([emptyRows(held, Math.max(1, rows - count))], 2);

/**
 * How many caches share memory. MLX sees itself that a shared array must be copied before it is written to; whoever writes
 * in place has to ask here.
 */
export class Sharing {
  #owners = { count: 1 };

  get alone(): boolean {
    return this.#owners.count === 1;
  }

  /** For a cache that takes part from now on. */
  join(): Sharing {
    const other = new Sharing();
    other.#owners = this.#owners;
    this.#owners.count++;
    return other;
  }

  /**
   * The cache takes memory of its own. Whoever shared the old one is not told: it may not write there before the copy has
   * been computed, and copies in its turn.
   */
  renew(): void {
    this.#owners = { count: 1 };
  }

  /** The arrays held now may lie in memory that others read: they are copied before they are written to in place. */
  borrow(): void {
    this.#owners = { count: 2 };
  }

  /** The cache is over. */
  end(): void {
    this.#owners.count--;
    this.renew();
  }
}

/** Memory is reserved in steps of so many rows, so that a decode step copies one row and not the whole cache. */
export const ROW_STEP = 256;
export const roundUp = (rows: number): number => Math.ceil(rows / ROW_STEP) * ROW_STEP;
