/** Which discovery keys count: the newest, and for a while the one before it, as members hear of a rotation one after the other. */
import type { Clock } from "#actors/runtime/clock";
import type { DiscoveryKeyRecord } from "./record.ts";

/** A member that was off for longer finds the others by its list of addresses. */
const BEFORE_MS = 10 * 60_000;

export class AcceptedKeys {
  readonly #clock: Clock;
  #newest = 0;
  #sinceMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `keys` oldest first; asked for each datagram. */
  of(keys: readonly DiscoveryKeyRecord[]): readonly DiscoveryKeyRecord[] {
    const newest = keys.at(-1)?.number ?? 0;
    const nowMs = this.#clock.nowMs();
    if (newest !== this.#newest) [this.#newest, this.#sinceMs] = [newest, nowMs];
    return nowMs - this.#sinceMs < BEFORE_MS ? keys : keys.slice(-1);
  }
}
