/** What is said of those who were refused: once for each source and minute, so that a flood of them fills no log. */
import type { Clock } from "#actors/runtime/clock";

const AGAIN_MS = 60_000;
/** Sources that are told apart within a minute; the others are one. */
const SOURCES_MAX = 64;

export class Refusals {
  readonly #clock: Clock;
  readonly #say: (why: string) => void;
  /** When each was said last, and how often it was refused since. */
  readonly #said = new Map<string, { readonly atMs: number; more: number }>();

  constructor(clock: Clock, say: (why: string) => void) {
    this.#clock = clock;
    this.#say = say;
  }

  add(from: string, why: string): void {
    const nowMs = this.#clock.nowMs();
    const known = this.#said.get(from);
    if (!known && this.#said.size >= SOURCES_MAX) this.#makeRoom(nowMs);
    const source = known || this.#said.size < SOURCES_MAX ? from : "others";
    const before = this.#said.get(source);
    if (before && nowMs - before.atMs < AGAIN_MS) {
      before.more += 1;
      return;
    }
    this.#said.set(source, { atMs: nowMs, more: 0 });
    this.#say(`refused ${source}: ${why}${before?.more ? `; ${before.more} times more since the last` : ""}`);
  }

  #makeRoom(nowMs: number): void {
    for (const [source, { atMs }] of this.#said) if (nowMs - atMs >= AGAIN_MS) this.#said.delete(source);
  }
}
