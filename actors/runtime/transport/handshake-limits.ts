/** How many strangers may be greeted at once, and how often: a handshake costs about 2 ms of processor time. */
import type { Clock } from "../clock.ts";

const HALF_OPEN_MAX = 64;
const PER_ADDRESS = 10;
const WINDOW_MS = 1000;
const ADDRESSES_MAX = 1024;

export class HandshakeLimits {
  readonly #clock: Clock;
  /** What ends each greeting under way, oldest first. */
  readonly #greeting = new Set<() => void>();
  #windowMs = 0;
  readonly #counts = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Undefined: refuse. Else the greeting has begun, and what is returned must be called when it is over. Where all places are taken
   * the oldest gives way, by `end`: a member needs milliseconds, and who needs more is likely to hold the place for its own sake.
   * Who has no address is gone already.
   */
  enter(address: string | undefined, end: () => void): (() => void) | undefined {
    if (address === undefined || !this.#mayCall(address)) return undefined;
    const [oldest] = this.#greeting;
    if (oldest && this.#greeting.size >= HALF_OPEN_MAX) {
      this.#greeting.delete(oldest);
      oldest();
    }
    const own = () => end();
    this.#greeting.add(own);
    return () => void this.#greeting.delete(own);
  }

  #mayCall(address: string): boolean {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#windowMs >= WINDOW_MS) {
      this.#windowMs = nowMs;
      this.#counts.clear();
    }
    const source = sourceOf(address);
    const count = (this.#counts.get(source) ?? 0) + 1;
    if (count > PER_ADDRESS || (count === 1 && this.#counts.size >= ADDRESSES_MAX)) return false;
    this.#counts.set(source, count);
    return true;
  }
}

/** One machine may have all 2^64 addresses of its network (RFC 4291, section 2.5.4): they count as one, but for link-local ones. */
function sourceOf(address: string): string {
  if (!address.includes(":") || /^(::ffff:|fe80:)/i.test(address)) return address;
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  const rest = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros =
    tail === undefined ? [] : new Array<string>(Math.max(0, 8 - groups.length - rest.length)).fill("0");
  return [...groups, ...zeros, ...rest].slice(0, 4).join(":");
}
