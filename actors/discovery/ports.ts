/** What Discovery offers to who wires a node: a watch over the members of its home. */
import type { Clock } from "#actors/runtime/clock";
import type { Endpoint, Link, Network } from "#actors/runtime/transport/network";
import type { NodeState } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import type { DiscoveryKey } from "./datagram.ts";

/** One address of one interface, as the system lists them. */
export interface LocalAddress {
  readonly interface: string;
  readonly address: string;
  readonly netmask: string;
  readonly family: "IPv4" | "IPv6";
  readonly internal: boolean;
  /** The interface's number, where the system gives one for a link-local address. */
  readonly scope?: number;
}

export interface WatchPorts {
  readonly self: NodeId;
  readonly clock: Clock;
  readonly network: Pick<Network, "dial">;
  /** Whether the machine at the endpoint answers a TCP connection at all. */
  readonly probe: (endpoint: Endpoint) => Promise<boolean>;
  /** A control link is open: the only one to this node from now on. */
  readonly linked: (node: NodeId, link: Link) => void;
  readonly unlinked: (node: NodeId) => void;
  /** When others last said something to the member over its control link, by the clock: a heartbeat would say no more. */
  readonly saidMs: (node: NodeId) => number;
  readonly changed: (node: NodeId, state: NodeState) => void;
  /** Where this node can be dialled now, `host:port`. */
  readonly here: () => readonly string[];
  /** The member said where it can be dialled. */
  readonly located: (node: NodeId, endpoints: readonly Endpoint[]) => void;
  /** The newest last; it seals, all are understood. */
  readonly keys: () => readonly DiscoveryKey[];
}

/** One member as this node sees it. */
export interface Seen {
  readonly node: NodeId;
  readonly state: NodeState;
  /** When it came into this state, by the clock. */
  readonly sinceMs: number;
  readonly silenceMs: number;
  /** Newest first. */
  readonly endpoints: readonly Endpoint[];
}

export interface Watch {
  readonly all: readonly Seen[];
  /** Members say that another machine runs with this one's identity. */
  readonly isCopied: boolean;
  /** Who belongs here besides this node: newcomers are dialled, others are dropped with their links. */
  setMembers(nodes: readonly NodeId[]): void;
  /** Somewhere a member may be reached. */
  learn(node: NodeId, endpoint: Endpoint): void;
  /** A member said something, whatever it was. */
  heard(node: NodeId): void;
  /** A member opened a control link. */
  accept(link: Link): void;
  /** Says goodbye and closes the control links. */
  stop(): void;
}
