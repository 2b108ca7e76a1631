/** Long computations in pieces: whoever has others to hear does something else between two of them. */

/** Yields, after each piece, how much work that was: about so many layers looked at. */
export type Working<T> = Generator<number, T, void>;

/** All of it at once. */
export function finished<T>(working: Working<T>): T {
  for (;;) {
    const { done, value } = working.next();
    if (done) return value;
  }
}
