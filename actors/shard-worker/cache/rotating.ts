import type { CacheSlot, Mlx, MxArray } from "#ffi/array";
import type { KvQuant } from "#protocol/shard";
import type { AttentionMask, Cache, Pair, RowShape } from "./cache.ts";
import { HeldRows, rowsOf } from "./held-rows.ts";

/**
 * Keeps the last `window` rows, for sliding-window attention: a token sees itself and the window - 1 before it. Single
 * tokens overwrite the oldest row of a ring (attention does not mind the order); longer runs are appended in temporal
 * order, so that the array may hold window - 1 + L rows until the next single token.
 */
export class RotatingCache implements Cache {
  readonly window: number;
  #held: HeldRows;
  #offset = 0;
  /** Rows in use: the array may be larger while the ring fills. */
  #rows = 0;
  /** The oldest row of a full ring. */
  #oldest = 0;

  /** `as` absent: rows are kept in what is computed in. */
  constructor(window: number, as?: KvQuant) {
    if (window < 1) throw new RangeError(`a window of ${window} tokens`);
    this.window = window;
    this.#held = new HeldRows(as, window);
  }

  get offset(): number {
    return this.#offset;
  }

  get nbytes(): number {
    return this.#held.nbytes;
  }

  arrays(): readonly MxArray[] {
    return this.#held.arrays;
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
    const fresh = this.#held.kept([keys, values]);
    const seen = length === 1 ? this.#one(fresh) : this.#many(fresh, length);
    this.#offset += length;
    return seen;
  }

  append(row: RowShape, mlx: Mlx): CacheSlot {
    if (this.#rows > this.window) this.#shorten();
    const isFull = this.#rows === this.window;
    this.#held.makeRoom(isFull ? this.window : this.#rows + 1, this.#rows, row, mlx);
    const at = isFull ? this.#oldest : this.#rows;
    if (isFull) this.#oldest = (this.#oldest + 1) % this.window;
    else this.#rows++;
    const [keys, values] = this.#held.pair;
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
    const copy = new RotatingCache(this.window);
    copy.#held = this.#held.fork(length === 0 ? 0 : Number.POSITIVE_INFINITY);
    copy.#offset = length;
    copy.#rows = this.#rows - (this.#offset - length);
    copy.#oldest = this.#oldest;
    return copy;
  }

  dispose(): void {
    this.#held.dispose();
    this.#offset = 0;
    this.#rows = 0;
    this.#oldest = 0;
  }

  /** One row: appended while the ring fills, then in place of the oldest. */
  #one(fresh: Pair): Pair {
    if (this.#rows < this.window) {
      this.#held.add(fresh, this.#rows);
      return this.#held.seen(++this.#rows);
    }
    if (this.#rows > this.window) this.#shorten();
    this.#held.replace((held, at) => (held ?? fresh[at]).sliceUpdate(fresh[at], 2, this.#oldest));
    this.#oldest = (this.#oldest + 1) % this.window;
    return this.#held.seen(this.window);
  }

  /** Many rows: the window before them, in order, then they. */
  #many(fresh: Pair, length: number): Pair {
    const old = Math.min(this.#rows, this.window - 1);
    this.#held.replace((held, at) => {
      if (!held || old === 0) return fresh[at].slice(2, 0, length);
      const ordered = inOrder(held, this.#rows, this.#oldest);
      return ordered.slice(2, this.#rows - old, this.#rows).concat([fresh[at]], 2);
    });
    this.#held.borrow();
    this.#rows = old + length;
    this.#oldest = 0;
    return this.#held.seen(this.#rows);
  }

  /** Drops the rows of a long run that left the window. */
  #shorten(): void {
    const held = this.#held.pair;
    this.#held.replace((_, at) => held[at].slice(2, this.#rows - this.window, this.#rows).contiguous());
    this.#held.borrow();
    this.#rows = this.window;
  }
}

/** The rows of a ring, oldest first. */
function inOrder(held: MxArray, rows: number, oldest: number): MxArray {
  if (oldest === 0) return held;
  return held.slice(2, oldest, rows).concat([held.slice(2, 0, oldest)], 2);
}
