/** Machines that are given no stage for a while, as one failed there: each time for longer. */
import type { Clock } from "#actors/runtime/clock";
import type { NodeId } from "#protocol/ids";

/** A machine that was short of memory may have some again. */
const FIRST_MS = 60_000;
const LONGEST_MS = 60 * 60_000;

interface Bar {
  readonly untilMs: number;
  readonly ms: number;
  readonly why: string;
}

export class Bars {
  readonly #clock: Clock;
  readonly #bars = new Map<NodeId, Bar>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(node: NodeId, why: string): void {
    const ms = Math.min(LONGEST_MS, 2 * (this.#bars.get(node)?.ms ?? FIRST_MS / 2));
    this.#bars.set(node, { ms, why, untilMs: this.#clock.nowMs() + ms });
  }

  /** It loaded what it was given: the next failure is its first. */
  clear(node: NodeId): void {
    this.#bars.delete(node);
  }

  /** With the reason of each. */
  get now(): ReadonlyMap<NodeId, string> {
    const nowMs = this.#clock.nowMs();
    const barred = [...this.#bars].filter(([, { untilMs }]) => untilMs > nowMs);
    return new Map(
      barred.map(([node, { untilMs, why }]) => [
        node,
        `is left out for ${Math.ceil((untilMs - nowMs) / 1000)} s: ${why}`,
      ]),
    );
  }
}
