/** Those who wait for a model of the home: bounded, looked after by one timer and one listener, and free to leave. */
import { crashOf } from "#actors/runtime/part";
import { Problem } from "#protocol/problem";
import { type Around, change } from "./until.ts";

/** Requests that may wait for one model, as many as for one that a machine holds alone. */
const WAITING_MAX = 1024;
/** A model of hundreds of gigabytes may load for long; gateways ask for no longer. */
const READY_MS = 30 * 60_000;

export class Waiting {
  readonly #around: Around;
  /** By model, each in the order in which they came. */
  readonly #looks = new Map<string, Set<() => void>>();
  #isLooking = false;

  constructor(around: Around) {
    this.#around = around;
  }

  /** What `look` finds, at once or at some later change; it may throw. Throws Problem. */
  async found<T>(model: string, look: () => T | undefined, left?: AbortSignal): Promise<T> {
    const known = look();
    if (known !== undefined) return known;
    const looks = this.#looks.get(model) ?? new Set();
    if (looks.size >= WAITING_MAX)
      throw new Problem("overloaded", `${WAITING_MAX} requests already wait for ${model}`);
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const untilMs = this.#around.clock.nowMs() + READY_MS;
    const again = () => {
      try {
        if (left?.aborted) throw new Problem("cancelled", `whoever waited for ${model} has left`);
        const seen = look();
        if (seen !== undefined) resolve(seen);
        else if (this.#around.clock.nowMs() > untilMs) throw late(model);
      } catch (error) {
        reject(error);
      }
    };
    this.#looks.set(model, looks.add(again));
    left?.addEventListener("abort", again, { once: true });
    void this.#look().catch(crashOf(this.#around.clock));
    try {
      return await promise;
    } finally {
      left?.removeEventListener("abort", again);
      looks.delete(again);
      if (looks.size === 0) this.#looks.delete(model);
    }
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    while (this.#looks.size > 0) {
      await change(this.#around);
      for (const looks of [...this.#looks.values()]) for (const look of [...looks]) look();
    }
    this.#isLooking = false;
  }
}

const late = (model: string): Problem =>
  new Problem("unavailable", `${model} was not ready within ${READY_MS / 60_000} minutes`, {
    remedy: "exo ps shows how far it is",
  });
