/**
 * Machines that shouting does not reach: those that the user named, and those of the private overlay network that this machine is
 * in, if it runs Tailscale. They are spoken to one by one. What the overlay says is only where somebody may be, never who belongs
 * here.
 */
import type { Clock } from "#actors/runtime/clock";
import { crashOf } from "#actors/runtime/part";
import type { Endpoint } from "#actors/runtime/transport/network";

export interface ElsewherePorts {
  readonly clock: Clock;
  /** UDP, for shouting: the same on all machines of a home. */
  readonly port: number;
  /** Members' ports of machines that the user named. */
  readonly peers: readonly Endpoint[];
  /** The local daemon's status; undefined where there is none. */
  readonly tailnet: () => Promise<unknown>;
}

/** A daemon that has no news is asked as seldom. */
const ASK_MS = 60_000;
/** A home has fewer; a company's network must not be written to by each exo in it. */
const TAILNET_MAX = 32;

export class Elsewhere {
  readonly #ports: ElsewherePorts;
  #tailnet: readonly string[] = [];
  #cancel = () => {};
  #stopped = false;

  constructor(ports: ElsewherePorts) {
    this.#ports = ports;
  }

  /** Where datagrams go besides this network. */
  get places(): readonly Endpoint[] {
    const hosts = new Set([...this.#ports.peers.map(({ host }) => host), ...this.#tailnet]);
    return [...hosts].map((host) => ({ host, port: this.#ports.port }));
  }

  async start(): Promise<void> {
    this.#tailnet = tailnetHosts(await this.#ports.tailnet()).slice(0, TAILNET_MAX);
    if (!this.#stopped)
      this.#cancel = this.#ports.clock.after(
        ASK_MS,
        () => void this.start().catch(crashOf(this.#ports.clock)),
      );
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }
}

/**
 * Addresses of the other machines that are online, from the answer to `GET /localapi/v0/status`
 * (https://pkg.go.dev/tailscale.com/ipn/ipnstate#Status); none for anything else. The first address of each is its IPv4 one.
 */
export function tailnetHosts(status: unknown): readonly string[] {
  const peers = fieldOf(status, "Peer");
  if (typeof peers !== "object" || peers === null) return [];
  return Object.values(peers).flatMap((peer) => {
    const [address] = [fieldOf(peer, "TailscaleIPs")].flat();
    return fieldOf(peer, "Online") === true && typeof address === "string" && ADDRESS.test(address)
      ? [address]
      : [];
  });
}

const ADDRESS = /^[0-9a-fA-F.:]{2,45}$/;

const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
