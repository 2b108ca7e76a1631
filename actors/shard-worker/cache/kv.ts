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
  ROW_STEP,
  type RowShape,
  roundUp,
  rowsOf,
  Sharing,
} from "./cache.ts";

/** Keeps every row: for attention over the whole context. */
export class KvCache implements Cache {
  readonly #as: KvQuant | undefined;
  #held: Pair | undefined;
  #offset = 0;
  #sharing = new Sharing();

  /** `as` absent: rows are kept in what is computed in. */
  constructor(as?: KvQuant) {
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

  mask(length: number, _mlx: Mlx): AttentionMask {
    return length > 1 ? "causal" : "none";
  }

  update(keys: MxArray, values: MxArray): Pair {
    const start = this.#offset;
    const end = start + rowsOf(keys);
    const [heldKeys, heldValues] = this.#held ?? [];
    const nextKeys = write(heldKeys, kept(keys, this.#as), start, end);
    const nextValues = write(heldValues, kept(values, this.#as), start, end);
    this.#hold([nextKeys, nextValues]);
    this.#offset = end;
    return [nextKeys.slice(2, 0, end), nextValues.slice(2, 0, end)];
  }

  append(row: RowShape, mlx: Mlx): CacheSlot {
    const position = this.#offset;
    const end = position + 1;
    const held = this.#held;
    if (!held || end > rowsOf(held[0]) || !this.#sharing.alone) {
      const rows = Math.max(ROW_STEP, roundUp(end));
      this.#hold(
        held && position > 0
          ? [copiedRows(held[0], position, rows), copiedRows(held[1], position, rows)]
          : newRows(row, this.#as, rows, mlx),
      );
      for (const array of held ?? []) array.dispose();
    }
    this.#offset = end;
    const [keys, values] = this.#held ?? fail();
    return { keys, values, position, row: position, seen: end };
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
    const copy = new KvCache(this.#as);
    if (this.#held && length > 0) {
      const [keys, values] = this.#held;
      const rows = Math.min(roundUp(length), rowsOf(keys));
      copy.#held = [ownRows(keys, 0, rows), ownRows(values, 0, rows)];
      copy.#offset = length;
      copy.#sharing = this.#sharing.join();
    }
    return copy;
  }

  dispose(): void {
    for (const array of this.arrays()) array.dispose();
    this.#held = undefined;
    this.#offset = 0;
    this.#sharing.end();
  }

  /** Takes arrays that nobody shares. */
  #hold(arrays: Pair): void {
    this.#held = arrays;
    this.#sharing.renew();
  }
}

const fail = (): never => {
  throw new Error("a cache that made room has none");
};

/** `rows` written from `start` into `held`, which grows when it is full and is given up: MLX then writes in place. */
function write(held: MxArray | undefined, rows: MxArray, start: number, end: number): MxArray {
  if (held && end <= rowsOf(held)) {
    const next = held.sliceUpdate(rows, 2, start);
    held.dispose();
    return next;
  }
  const room = emptyRows(rows, Math.max(ROW_STEP, roundUp(end)) - start);
  const tail = room.sliceUpdate(rows, 2, 0);
  if (!held || start === 0) {
    held?.dispose();
    return tail;
  }
  const next = held.slice(2, 0, start).concat([tail], 2);
  held.dispose();
  return next;
}
