import type { Mlx, MxArray } from "#ffi/array";
import {
  type AttentionMask,
  bytesOf,
  type Cache,
  emptyRows,
  ownRows,
  ROW_STEP,
  roundUp,
  rowsOf,
} from "./cache.ts";

/** Keeps every row: for attention over the whole context. */
export class KvCache implements Cache {
  #held: readonly [keys: MxArray, values: MxArray] | undefined;
  #offset = 0;

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

  update(keys: MxArray, values: MxArray): readonly [MxArray, MxArray] {
    const start = this.#offset;
    const end = start + rowsOf(keys);
    const [heldKeys, heldValues] = this.#held ?? [];
    const nextKeys = write(heldKeys, keys, start, end);
    const nextValues = write(heldValues, values, start, end);
    this.#held = [nextKeys, nextValues];
    this.#offset = end;
    return [nextKeys.slice(2, 0, end), nextValues.slice(2, 0, end)];
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
    if (this.#held && length > 0) {
      const [keys, values] = this.#held;
      const rows = Math.min(roundUp(length), rowsOf(keys));
      copy.#held = [ownRows(keys, 0, rows), ownRows(values, 0, rows)];
      copy.#offset = length;
    }
    return copy;
  }

  dispose(): void {
    for (const array of this.arrays()) array.dispose();
    this.#held = undefined;
    this.#offset = 0;
  }
}

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
