/** The addresses that a node listens on, also when what it shows there is another. */
import type { TCPSocketListener } from "bun";
import { Problem } from "#protocol/problem";
import type { Clock } from "../clock.ts";
import { endpointText } from "./endpoint.ts";
import type { Endpoint } from "./network.ts";
import { reason } from "./thrown.ts";

const AGAIN_MS = 1000;

export interface ListenersPorts<Data> {
  readonly clock: Clock;
  /** Throws Problem when the address cannot be had. */
  readonly listen: (endpoint: Endpoint) => TCPSocketListener<Data>;
  readonly refused: (from: string, why: string) => void;
}

export class Listeners<Data> {
  readonly #ports: ListenersPorts<Data>;
  #open: readonly TCPSocketListener<Data>[];
  #isClosed = false;

  /** Throws Problem. */
  constructor(ports: ListenersPorts<Data>, endpoints: readonly Endpoint[]) {
    this.#ports = ports;
    this.#open = endpoints.map((endpoint) => ports.listen(endpoint));
  }

  get endpoints(): readonly Endpoint[] {
    return this.#open.map(({ hostname: host, port }) => ({ host, port }));
  }

  /** Each is opened anew; what came by the one before stays. */
  renew(): void {
    const { endpoints } = this;
    for (const listener of this.#open) listener.stop();
    this.#open = [];
    for (const endpoint of endpoints) this.#listenAgain(endpoint);
  }

  close(): void {
    this.#isClosed = true;
    for (const listener of this.#open) listener.stop(true);
  }

  /** Another process may have taken the port in between: until it lets go this node dials, and is not dialled. */
  #listenAgain(endpoint: Endpoint): void {
    if (this.#isClosed) return;
    try {
      this.#open = [...this.#open, this.#ports.listen(endpoint)];
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.#ports.refused(
        endpointText(endpoint),
        `${error.message}; it is tried again, else: ${error.remedy}`,
      );
      this.#ports.clock.after(AGAIN_MS, () => this.#listenAgain(endpoint));
    }
  }
}

export const cannotListen = (endpoint: Endpoint, error: unknown): Problem =>
  new Problem("unavailable", `cannot listen on ${endpointText(endpoint)} for other nodes: ${reason(error)}`, {
    param: "cluster.port",
    remedy: "end what uses the port, or set cluster.port in exo.yaml",
  });
