/** How many requests are in flight, by client: nobody in the network may hold all of the places. */
import { Problem } from "#protocol/problem";
import { NETWORK_REQUESTS, REQUESTS_PER_ADDRESS } from "./limits.ts";

export class Crowd {
  readonly #counts = new Map<string, number>();
  #total = 0;

  /** Takes a place; the returned function, to be called once, gives it back. Throws a Problem when there is none. */
  enter(client: string): () => void {
    const held = this.#counts.get(client) ?? 0;
    if (held >= REQUESTS_PER_ADDRESS)
      throw new Problem("overloaded", `${REQUESTS_PER_ADDRESS} requests of this address are under way`);
    if (this.#total >= NETWORK_REQUESTS)
      throw new Problem("overloaded", `${NETWORK_REQUESTS} requests are under way`);
    this.#counts.set(client, held + 1);
    this.#total += 1;
    return () => this.#leave(client);
  }

  #leave(client: string): void {
    const held = this.#counts.get(client) ?? 0;
    if (held > 1) this.#counts.set(client, held - 1);
    else this.#counts.delete(client);
    this.#total -= 1;
  }
}
