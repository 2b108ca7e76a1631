/** Where a member may be reached, the best first. Anybody may have said so: TLS tells who answers there. */
import type { Endpoint } from "#actors/runtime/transport/network";

const ENDPOINTS_MAX = 8;

export class Whereabouts {
  #all: readonly Endpoint[] = [];

  get all(): readonly Endpoint[] {
    return this.#all;
  }

  /** It was there just now: tried first. True when that is news. */
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
  }

  #without({ host, port }: Endpoint): readonly Endpoint[] {
    return this.#all.filter((each) => each.host !== host || each.port !== port);
  }
}
