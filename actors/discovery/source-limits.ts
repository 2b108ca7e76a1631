/** How much each address may say before it goes unread: a flood costs a look at a table, not more. */
import type { Clock } from "#actors/runtime/clock";

const PER_SOURCE = 50;
const SOURCES_MAX = 1024;
const WINDOW_MS = 1000;

export class SourceLimits {
  readonly #clock: Clock;
  readonly #counts = new Map<string, number>();
  #windowMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  allows(source: string): boolean {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#windowMs >= WINDOW_MS) {
      this.#windowMs = nowMs;
      this.#counts.clear();
    }
    const count = (this.#counts.get(source) ?? 0) + 1;
    if (count > PER_SOURCE || (count === 1 && this.#counts.size >= SOURCES_MAX)) return false;
    this.#counts.set(source, count);
    return true;
  }
}
