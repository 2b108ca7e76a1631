/** The keys and values that a cache holds: how they are kept, where they grow, and with whom they share memory. */
import { type Mlx, type MxArray, packedWidth } from "#ffi/array";
import { dtypeBytes } from "#ffi/dtypes";
import type { KvQuant } from "#protocol/shard";
import type { Pair, RowShape } from "./cache.ts";

/** Memory is reserved in steps of so many rows, so that a decode step copies one row and not the whole cache. */
const ROW_STEP = 256;
export const roundUp = (rows: number): number => Math.ceil(rows / ROW_STEP) * ROW_STEP;

/** Rows of [B, H, S, D]. */
export const rowsOf = (x: MxArray): number => x.shape[2] ?? 0;

export class HeldRows {
  readonly #as: KvQuant | undefined;
  /** No cache reserves more rows than this. */
  readonly #most: number;
  #pair: Pair | undefined;
  #sharing = new Sharing();

  /** `as` absent: rows are kept in what is computed in. */
  constructor(as: KvQuant | undefined, most = Number.POSITIVE_INFINITY) {
    this.#as = as;
    this.#most = most;
  }

  get nbytes(): number {
    return this.arrays.reduce((sum, array) => sum + bytesOf(array), 0);
  }

  /** Keys and values, or nothing while nothing is held. */
  get arrays(): readonly MxArray[] {
    return this.#pair ?? [];
  }

  get pair(): Pair {
    if (this.#pair) return this.#pair;
    throw new Error("a cache was asked for rows before it held any");
  }

  /** The first `rows` of them. */
  seen(rows: number): Pair {
    const [keys, values] = this.pair;
    return [keys.slice(2, 0, rows), values.slice(2, 0, rows)];
  }

  /** As rows are kept here. */
  kept([keys, values]: Pair): Pair {
    return [keptAs(keys, this.#as), keptAs(values, this.#as)];
  }

  /** Writes `fresh`, as `kept` gives them, after the first `used` rows. */
  add(fresh: Pair, used: number): void {
    const room = this.#reserved(used + rowsOf(fresh[0]));
    this.replace((held, at) => appended(held, fresh[at], used, room));
  }

  /** Puts what `next` makes of each array in its place; what was held is given up, so that MLX may write into it. */
  replace(next: (held: MxArray | undefined, at: 0 | 1) => MxArray): void {
    const [keys, values] = this.#pair ?? [];
    this.#hold([next(keys, 0), next(values, 1)]);
    keys?.dispose();
    values?.dispose();
  }

  /** The arrays held now may lie in memory that others read: they are copied before they are written to in place. */
  borrow(): void {
    this.#sharing.borrow();
  }

  /** Memory that no other cache writes to, for so many rows; the first `used` are those held now. */
  makeRoom(rows: number, used: number, row: RowShape, mlx: Mlx): void {
    const held = this.#pair;
    if (held && rows <= rowsOf(held[0]) && this.#sharing.alone) return;
    const wanted = this.#reserved(rows);
    this.#hold(
      held && used > 0
        ? [copiedRows(held[0], used, wanted), copiedRows(held[1], used, wanted)]
        : newRows(row, this.#as, wanted, mlx),
    );
    for (const array of held ?? []) array.dispose();
  }

  /** A second holder of the first `rows` rows, or of fewer where there are fewer; memory is shared until either writes. */
  fork(rows: number): HeldRows {
    const copy = new HeldRows(this.#as, this.#most);
    if (!this.#pair || rows === 0) return copy;
    const [keys, values] = this.#pair;
    const shared = Math.min(rows, rowsOf(keys));
    copy.#pair = [ownRows(keys, shared), ownRows(values, shared)];
    copy.#sharing = this.#sharing.join();
    return copy;
  }

  dispose(): void {
    for (const array of this.arrays) array.dispose();
    this.#pair = undefined;
    this.#sharing.end();
  }

  #reserved(rows: number): number {
    return Math.min(roundUp(rows), this.#most);
  }

  /** Takes arrays that nobody shares. */
  #hold(pair: Pair): void {
    this.#pair = pair;
    this.#sharing.renew();
  }
}

/**
 * How many caches share memory. MLX sees itself that a shared array must be copied before it is written to; whoever writes
 * in place has to ask here.
 */
class Sharing {
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

const bytesOf = ({ shape, dtype }: MxArray): number =>
  shape.reduce((count, size) => count * size, dtypeBytes(dtype));

const floats = { f32: "float32", f16: "float16", bf16: "bfloat16" } as const;

function keptAs(x: MxArray, as: KvQuant | undefined): MxArray {
  if (as === undefined) return x;
  return as === "q8" ? x.packRows() : x.astype(floats[as]);
}

/** `fresh` after the first `used` rows of `held`, in an array of `room` rows where `held` has none left. */
function appended(held: MxArray | undefined, fresh: MxArray, used: number, room: number): MxArray {
  if (held && used + rowsOf(fresh) <= rowsOf(held)) return held.sliceUpdate(fresh, 2, used);
  const memory = emptyRows(fresh, room);
  const moved =
    held && used > 0 ? givenUp(memory, (to) => to.sliceUpdate(held.slice(2, 0, used), 2, 0)) : memory;
  return givenUp(moved, (to) => to.sliceUpdate(fresh, 2, used));
}

/** The first `stop` rows as an array that no scope owns. */
const ownRows = (x: MxArray, stop: number): MxArray => x.mlx.scope((keep) => keep(x.slice(2, 0, stop)));

/** Zero rows of the shape of `like`, to be written later. */
function emptyRows(like: MxArray, rows: number): MxArray {
  const [batch = 1, heads = 1, , dims = 1] = like.shape;
  return like.mlx.zeros([batch, heads, rows, dims], like.dtype);
}

/** Memory of its own for `rows` keys and values, none of them written yet. */
function newRows(row: RowShape, as: KvQuant | undefined, rows: number, mlx: Mlx): Pair {
  const { heads, keyDims, valueDims, dtype } = row;
  const room = (dims: number): MxArray =>
    as === "q8"
      ? mlx.zeros([1, heads, rows, packedWidth(dims)], "uint8")
      : mlx.zeros([1, heads, rows, dims], as ? floats[as] : dtype);
  return [room(keyDims), room(valueDims)];
}

/** The first `count` rows in memory of their own, with room for `rows`. */
const copiedRows = (held: MxArray, count: number, rows: number): MxArray =>
  givenUp(emptyRows(held, rows), (to) => to.sliceUpdate(held.slice(2, 0, count), 2, 0));

/** What is made of an array that nobody else holds then, so that MLX may write into its memory. */
function givenUp(array: MxArray, next: (array: MxArray) => MxArray): MxArray {
  const made = next(array);
  array.dispose();
  return made;
}
