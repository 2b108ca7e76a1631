/** Where a member may be reached, the best first. Anybody may have said so: TLS tells who answers there. */
import type { Endpoint } from "#actors/runtime/transport/network";

const ENDPOINTS_MAX = 8;

export class Whereabouts {
  #all: readonly Endpoint[] = [];
  #met: Endpoint | undefined;

  get all(): readonly Endpoint[] {
    return this.#all;
  }

  /** Where it proved itself last, else the best guess: what a kernel there says is said of its machine. */
  get proven(): Endpoint | undefined {
    return this.#met ?? this.#all[0];
  }

  /** One after the other; every other turn where it proved itself, so that no number of false words keeps it away for long. */
  at(turn: number): Endpoint | undefined {
    const met = this.#met;
    if (!met) return this.#all[turn % Math.max(1, this.#all.length)];
    const others = this.#without(met);
    return turn % 2 === 0 ? met : (others[(turn >> 1) % Math.max(1, others.length)] ?? met);
  }

  /** A link was made with it there, or it says so over one from there. */
  met(endpoint: Endpoint): void {
    this.learn(endpoint);
    this.#met = endpoint;
  }

  /** Whether it proved itself there: that nobody listens at another place tells nothing of it. */
  wasMet(endpoint: Endpoint): boolean {
    return this.#met !== undefined && isSame(this.#met, endpoint);
  }

  /** It was there just now, somebody says: tried first. True when that is news. */
  learn(endpoint: Endpoint): boolean {
    const others = this.#without(endpoint);
    const isNew = others.length === this.#all.length;
    this.#all = [endpoint, ...others].slice(0, ENDPOINTS_MAX);
    return isNew;
  }

  /** Somebody says so: tried last. */
  hint(endpoint: Endpoint): void {
    const isNew = this.#without(endpoint).length === this.#all.length;
    if (isNew) this.#all = [...this.#all.slice(0, ENDPOINTS_MAX - 1), endpoint];
  }

  /** Another machine proved that it is the one there. */
  forget(endpoint: Endpoint): void {
    this.#all = this.#without(endpoint);
    if (this.wasMet(endpoint)) this.#met = undefined;
  }

  #without(endpoint: Endpoint): readonly Endpoint[] {
    return this.#all.filter((each) => !isSame(each, endpoint));
  }
}

const isSame = (one: Endpoint, other: Endpoint): boolean =>
  one.host === other.host && one.port === other.port;
