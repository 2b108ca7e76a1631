import type { CacheSlot, Mlx, MxArray } from "#ffi/array";
import type { KvQuant } from "#protocol/shard";
import {
  type AttentionMask,
  bytesOf,
  type Cache,
  copiedRows,
  emptyRows,
  kept,
  newRows,
  ownRows,
  type Pair,
  type RowShape,
  roundUp,
  rowsOf,
  Sharing,
} from "./cache.ts";

/**
 * Keeps the last `window` rows, for sliding-window attention: a token sees itself and the window - 1 before it. Single
 * tokens overwrite the oldest row of a ring (attention does not mind the order); longer runs are appended in temporal
 * order, so that the array may hold window - 1 + L rows until the next single token.
 */
export class RotatingCache implements Cache {
  readonly window: number;
  readonly #as: KvQuant | undefined;
  #held: Pair | undefined;
  #offset = 0;
  /** Rows in use: the array may be larger while the ring fills. */
  #rows = 0;
  /** The oldest row of a full ring. */
  #oldest = 0;
  #sharing = new Sharing();

  /** `as` absent: rows are kept in what is computed in. */
  constructor(window: number, as?: KvQuant) {
    if (window < 1) throw new RangeError(`a window of ${window} tokens`);
    this.window = window;
    this.#as = as;
  }

  get offset(): number {
    return this.#offset;
  }

  get nbytes(): number {
    return this.arrays().reduce((sum, array) => sum + bytesOf(array), 0);
  }

  arrays(): readonly MxArray[] {
    return this.#held ?? [];
  }

  mask(length: number, mlx: Mlx): AttentionMask {
    if (length === 1) return "none";
    if (this.#offset + length <= this.window) return "causal";
    const old = Math.min(this.#rows, this.window - 1);
    const queries = mlx.arange(old, old + length, "int32").expandDims(1);
    const keys = mlx.arange(0, old + length, "int32").expandDims(0);
    return keys.lessEqual(queries).and(queries.sub(keys).less(this.window));
  }

  update(keys: MxArray, values: MxArray): Pair {
    const length = rowsOf(keys);
    const fresh: Pair = [kept(keys, this.#as), kept(values, this.#as)];
    const seen = length === 1 ? this.#one(fresh) : this.#many(fresh, length);
    this.#offset += length;
    return seen;
  }

  append(row: RowShape, mlx: Mlx): CacheSlot {
    if (this.#rows > this.window) this.#shorten();
    const isFull = this.#rows === this.window;
    this.#makeRoom(isFull ? this.window : this.#rows + 1, row, mlx);
    const at = isFull ? this.#oldest : this.#rows;
    if (isFull) this.#oldest = (this.#oldest + 1) % this.window;
    else this.#rows++;
    const [keys, values] = this.#held ?? fail(0);
    return { keys, values, position: this.#offset++, row: at, seen: this.#rows };
  }

  canTrim(count: number): boolean {
    return count === 0 || (count <= this.#offset && this.#offset === this.#rows);
  }

  trim(count: number): void {
    if (!this.canTrim(count)) {
      throw new RangeError(`cannot take ${count} tokens back: rows older than the window are gone`);
    }
    this.#offset -= count;
    this.#rows -= count;
  }

  fork(length: number): RotatingCache {
    if (!this.canTrim(this.#offset - length))
      throw new RangeError(`cannot fork the first ${length} tokens of a full ring`);
    const copy = new RotatingCache(this.window, this.#as);
    if (!this.#held || length === 0) return copy;
    const [keys, values] = this.#held;
    copy.#held = [ownRows(keys, 0, rowsOf(keys)), ownRows(values, 0, rowsOf(values))];
    copy.#offset = length;
    copy.#rows = this.#rows - (this.#offset - length);
    copy.#oldest = this.#oldest;
    copy.#sharing = this.#sharing.join();
    return copy;
  }

  dispose(): void {
    for (const array of this.arrays()) array.dispose();
    this.#held = undefined;
    this.#offset = 0;
    this.#rows = 0;
    this.#oldest = 0;
    this.#sharing.end();
  }

  /** Memory that no other cache writes to, for so many rows. */
  #makeRoom(rows: number, row: RowShape, mlx: Mlx): void {
    const held = this.#held;
    if (held && rows <= rowsOf(held[0]) && this.#sharing.alone) return;
    const wanted = Math.min(roundUp(rows), this.window);
    const used = this.#rows;
    this.#held =
      held && used > 0
        ? [copiedRows(held[0], used, wanted), copiedRows(held[1], used, wanted)]
        : newRows(row, this.#as, wanted, mlx);
    for (const array of held ?? []) array.dispose();
    this.#sharing.renew();
  }

  /** One row: appended while the ring fills, then in place of the oldest. */
  #one(fresh: Pair): Pair {
    if (this.#rows < this.window) {
      const end = this.#rows + 1;
      this.#replace((held, at) => append(held, fresh[at], this.#rows, Math.min(roundUp(end), this.window)));
      this.#rows = end;
      return this.#seen(end);
    }
    if (this.#rows > this.window) this.#shorten();
    this.#replace((held, at) => (held ?? fresh[at]).sliceUpdate(fresh[at], 2, this.#oldest));
    this.#oldest = (this.#oldest + 1) % this.window;
    return this.#seen(this.window);
  }

  /** Many rows: the window before them, in order, then they. */
  #many(fresh: Pair, length: number): Pair {
    const old = Math.min(this.#rows, this.window - 1);
    this.#replace((held, at) => {
      if (!held || old === 0) return fresh[at].slice(2, 0, length);
      const ordered = inOrder(held, this.#rows, this.#oldest);
      return ordered.slice(2, this.#rows - old, this.#rows).concat([fresh[at]], 2);
    });
    this.#sharing.borrow();
    this.#rows = old + length;
    this.#oldest = 0;
    return this.#seen(this.#rows);
  }

  /** Drops the rows of a long run that left the window. */
  #shorten(): void {
    const rows = this.#rows;
    this.#replace((held, at) => (held ?? fail(at)).slice(2, rows - this.window, rows).contiguous());
    this.#sharing.borrow();
    this.#rows = this.window;
  }

  #replace(next: (held: MxArray | undefined, at: 0 | 1) => MxArray): void {
    const [keys, values] = this.#held ?? [];
    this.#held = [next(keys, 0), next(values, 1)];
    keys?.dispose();
    values?.dispose();
    this.#sharing.renew();
  }

  #seen(rows: number): Pair {
    const [keys, values] = this.#held ?? fail(0);
    return [keys.slice(2, 0, rows), values.slice(2, 0, rows)];
  }
}

const fail = (at: 0 | 1): never => {
  throw new Error(`a ring without ${at === 0 ? "keys" : "values"}`);
};

function append(held: MxArray | undefined, row: MxArray, rows: number, capacity: number): MxArray {
  if (held && rows < rowsOf(held)) return held.sliceUpdate(row, 2, rows);
  const tail = emptyRows(row, capacity - rows).sliceUpdate(row, 2, 0);
  return held && rows > 0 ? held.slice(2, 0, rows).concat([tail], 2) : tail;
}

/** The rows of a ring, oldest first. */
function inOrder(held: MxArray, rows: number, oldest: number): MxArray {
  if (oldest === 0) return held;
  return held.slice(2, oldest, rows).concat([held.slice(2, 0, oldest)], 2);
}
