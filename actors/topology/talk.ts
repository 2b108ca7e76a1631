/** How often a member may tell of itself: what comes faster is not looked at, so that nobody's news cost all others their time. */
import type { Clock } from "#actors/runtime/clock";
import type { NodeId } from "#protocol/ids";

/** A well-behaved member tells every two seconds at most, and a few times at once when a link opens or links are measured. */
const TELLS_MAX = 8;
const ONE_MORE_MS = 1000;

export class Talk {
  readonly #clock: Clock;
  readonly #left = new Map<NodeId, { tells: number; atMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  allows(node: NodeId): boolean {
    const nowMs = this.#clock.nowMs();
    const left = this.#left.get(node) ?? { tells: TELLS_MAX, atMs: nowMs };
    left.tells = Math.min(TELLS_MAX, left.tells + (nowMs - left.atMs) / ONE_MORE_MS);
    left.atMs = nowMs;
    this.#left.set(node, left);
    if (left.tells < 1) return false;
    left.tells -= 1;
    return true;
  }

  forget(node: NodeId): void {
    this.#left.delete(node);
  }
}
