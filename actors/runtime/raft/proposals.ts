/** Changes that wait for a majority, each until it is final, overtaken, or given up. */
import { Problem } from "#protocol/problem";
import type { Clock } from "../clock.ts";

/** Where an entry stands in the order of all: a later leader has a higher term. */
export interface Epoch {
  readonly term: number;
  readonly index: number;
}

interface Waiting {
  readonly term: number;
  readonly resolve: (epoch: Epoch) => void;
  readonly reject: (problem: Problem) => void;
}

const PROPOSALS_MAX = 256;
/** Longer than any election: by then a majority is not there. */
const WAIT_MS = 10_000;

export class Proposals {
  readonly #clock: Clock;
  readonly #waiting = new Map<number, Waiting>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Why one more cannot wait. */
  get refusal(): Problem | undefined {
    if (this.#waiting.size < PROPOSALS_MAX) return undefined;
    return new Problem("overloaded", "too many changes already wait for a majority");
  }

  /** Resolves when the entry of `term` at `index` is final. */
  await(term: number, index: number): Promise<Epoch> {
    const { promise, resolve, reject } = Promise.withResolvers<Epoch>();
    const cancel = this.#clock.after(WAIT_MS, () => {
      this.#waiting.delete(index);
      reject(
        new Problem("unavailable", "no majority confirmed the change in time: it may still come into force"),
      );
    });
    this.#waiting.set(index, {
      term,
      resolve: (epoch) => {
        cancel();
        resolve(epoch);
      },
      reject: (problem) => {
        cancel();
        reject(problem);
      },
    });
    return promise;
  }

  /** The entry at `epoch.index` is final, whoever's it is. */
  settle(epoch: Epoch): void {
    const waiting = this.#waiting.get(epoch.index);
    this.#waiting.delete(epoch.index);
    if (waiting?.term === epoch.term) waiting.resolve(epoch);
    else
      waiting?.reject(new Problem("unavailable", "another leader's change came first: look, and try again"));
  }

  abandon(why: string): void {
    for (const waiting of this.#waiting.values()) waiting.reject(new Problem("unavailable", why));
    this.#waiting.clear();
  }
}

export const doesNotLead = (): Problem =>
  new Problem("unavailable", "this node does not lead the cluster now");
