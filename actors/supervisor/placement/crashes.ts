/** Machines on which workers of a model ended in the middle of their work, as where memory is less than was told: others are better. */
import type { Clock } from "#actors/runtime/clock";
import type { NodeId } from "#protocol/ids";

/** Once may be an accident. */
const CRASHES = 2;
const WITHIN_MS = 60_000;

export class Crashes {
  readonly #clock: Clock;
  readonly #times = new Map<NodeId, readonly number[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  note(node: NodeId): void {
    this.#times.set(node, [...this.#recent(node), this.#clock.nowMs()]);
  }

  /** With the reason of each. */
  get now(): ReadonlyMap<NodeId, string> {
    const shaky = [...this.#times.keys()].filter((node) => this.#recent(node).length >= CRASHES);
    return new Map(shaky.map((node) => [node, "is left out: its workers ended twice within a minute"]));
  }

  #recent(node: NodeId): readonly number[] {
    const nowMs = this.#clock.nowMs();
    return (this.#times.get(node) ?? []).filter((ms) => nowMs - ms < WITHIN_MS);
  }
}
