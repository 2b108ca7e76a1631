/** Small arrays of numbers, read where the index is known to be inside. */

/** Indexes here lie inside their arrays; the compiler cannot know. */
export const at = (values: Float64Array | Int16Array | Int32Array | undefined, index: number): number =>
  values?.[index] ?? 0;

/** The least of the values whose places lie in a window that only moves forward. */
export class Window {
  readonly #places: Int16Array;
  readonly #values: Float64Array;
  #head = 0;
  #tail = 0;

  constructor(most: number) {
    this.#places = new Int16Array(most + 1);
    this.#values = new Float64Array(most + 1);
  }

  clear(): void {
    this.#head = 0;
    this.#tail = 0;
  }

  /** Places come in order; whatever is not less than a later one is never the least again. */
  enter(place: number, value: number): void {
    if (value === Number.POSITIVE_INFINITY) return;
    while (this.#tail > this.#head && (this.#values[this.#tail - 1] ?? 0) >= value) this.#tail--;
    this.#places[this.#tail] = place;
    this.#values[this.#tail++] = value;
  }

  /** The place of the least from `first` on; -1 where there is none. */
  least(first: number): number {
    while (this.#head < this.#tail && (this.#places[this.#head] ?? 0) < first) this.#head++;
    return this.#head === this.#tail ? -1 : (this.#places[this.#head] ?? 0);
  }
}
