import type { CacheSlot, Mlx, MxArray } from "#ffi/array";
import type { KvQuant } from "#protocol/shard";
import type { AttentionMask, Cache, Pair, RowShape } from "./cache.ts";
import { HeldRows, roundUp, rowsOf } from "./held-rows.ts";

/** Keeps every row: for attention over the whole context. */
export class KvCache implements Cache {
  #held: HeldRows;
  #offset = 0;

  /** `as` absent: rows are kept in what is computed in. */
  constructor(as?: KvQuant) {
    this.#held = new HeldRows(as);
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

  mask(length: number, _mlx: Mlx): AttentionMask {
    return length > 1 ? "causal" : "none";
  }

  update(keys: MxArray, values: MxArray): Pair {
    this.#held.add(this.#held.kept([keys, values]), this.#offset);
    this.#offset += rowsOf(keys);
    return this.#held.seen(this.#offset);
  }

  append(row: RowShape, mlx: Mlx): CacheSlot {
    const position = this.#offset++;
    this.#held.makeRoom(this.#offset, position, row, mlx);
    const [keys, values] = this.#held.pair;
    return { keys, values, position, row: position, seen: this.#offset };
  }

  canTrim(count: number): boolean {
    return count <= this.#offset;
  }

  trim(count: number): void {
    if (!this.canTrim(count)) throw new RangeError(`cannot take ${count} of ${this.#offset} tokens back`);
    this.#offset -= count;
  }

  fork(length: number): KvCache {
    if (length > this.#offset)
      throw new RangeError(`a fork of ${length} tokens from a cache of ${this.#offset}`);
    const copy = new KvCache();
    copy.#held = this.#held.fork(roundUp(length));
    copy.#offset = length;
    return copy;
  }

  dispose(): void {
    this.#held.dispose();
    this.#offset = 0;
  }
}
