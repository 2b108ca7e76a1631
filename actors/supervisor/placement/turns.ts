/** Plans take a while: they are made one after the other, and in slices, between which who leads hears others and is heard. */
import type { Working } from "#actors/planner/work";
import type { Clock } from "#actors/runtime/clock";
import { Problem } from "#protocol/problem";

/**
 * Layers looked at in a slice: 2 to 4 ms of a fast core, less than 50 of a slow or busy one. A leader beats four times a second, and is
 * suspected when it is silent for one.
 */
const SLICE = 5e5;
/** One for each model that is placed or moved at once: more than a home has, as a rule. */
const WAITING_MAX = 256;

export class Turns {
  readonly #clock: Pick<Clock, "after">;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(clock: Pick<Clock, "after">) {
    this.#clock = clock;
  }

  /** Begins when its turn comes; nothing comes between the end of the work and `done`. Throws what these throw, and Problem where too many wait. */
  async take<T>(begin: () => Promise<Working<T>> | Working<T>, done: (result: T) => void): Promise<T> {
    if (this.#waiting >= WAITING_MAX)
      throw new Problem("overloaded", `${WAITING_MAX} models wait to be placed already`, {
        remedy: "ask again in a minute",
      });
    this.#waiting += 1;
    const made = this.#last
      .then(async () => {
        const result = await this.#inSlices(await begin());
        done(result);
        return result;
      })
      .finally(() => {
        this.#waiting -= 1;
      });
    this.#last = made.catch(() => {}); // Told to who asked; the next does not depend on it.
    return await made;
  }

  async #inSlices<T>(working: Working<T>): Promise<T> {
    for (let slice = 0; ; ) {
      const { done, value } = working.next();
      if (done) return value;
      slice += value;
      if (slice < SLICE) continue;
      slice = 0;
      await new Promise<void>((resolve) => void this.#clock.after(0, resolve));
    }
  }
}
