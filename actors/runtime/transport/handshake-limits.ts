/** How many strangers may be greeted at once, and how often: a handshake costs about 2 ms of processor time. */
import type { Clock } from "../clock.ts";

const HALF_OPEN_MAX = 64;
const PER_ADDRESS = 10;
const WINDOW_MS = 1000;
const ADDRESSES_MAX = 1024;

export class HandshakeLimits {
  readonly #clock: Clock;
  #halfOpen = 0;
  #windowMs = 0;
  readonly #counts = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** False: refuse. True: the greeting has begun, and `leave` must be called when it is over. */
  enter(address: string): boolean {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#windowMs >= WINDOW_MS) {
      this.#windowMs = nowMs;
      this.#counts.clear();
    }
    const count = (this.#counts.get(address) ?? 0) + 1;
    const full = this.#halfOpen >= HALF_OPEN_MAX || count > PER_ADDRESS || this.#counts.size >= ADDRESSES_MAX;
    if (this.#counts.size < ADDRESSES_MAX) this.#counts.set(address, count);
    if (full) return false;
    this.#halfOpen += 1;
    return true;
  }

  leave(): void {
    this.#halfOpen -= 1;
  }
}
