/** How nodes reach each other: authenticated links behind one small port, so that a simulator can be the network. */
import type { Envelope } from "#protocol/codec";
import type { NodeId } from "#protocol/ids";
import type { Transport } from "./transport.ts";

/** Where a node listens: an IPv4 or IPv6 address (with zone where it needs one) and a TCP port. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** One connection each, so that a tensor or a copied file never delays a heartbeat. */
export type Lane = "control" | "data" | "file";

/** What the other side said of itself in the first frame, and what its key proved. */
export interface Peer {
  /** From the key of the connection, never from a message. */
  readonly node: NodeId;
  /** 128 random bits in hex, new at each start of that node. */
  readonly boot: string;
  /** The minor protocol version both speak: the lower of the two. */
  readonly minor: number;
  readonly capabilities: readonly string[];
}

/** An open link to one peer. Envelopes that name another sender than the peer close it. */
export interface Link extends Transport {
  readonly peer: Peer;
  readonly lane: Lane;
  readonly remote: Endpoint;
  /** The address of this end, where the system tells it: which interface carries the link. */
  readonly local?: string;
  /** Whether this side dialled. */
  readonly dialled: boolean;
  /** Bytes that wait to be sent; `send` refuses above the lane's limit. */
  readonly waitingBytes: number;
  /**
   * An envelope with bytes that are not msgpack (hidden states, file parts); false when refused. The bytes may be reused at once after
   * true, unless they are given away (`isGiven`): then they are never copied, and must not change any more.
   */
  sendBody(envelope: Envelope, body: Uint8Array, isGiven?: boolean): boolean;
  /** Set by who uses bodies; the bytes are valid until it returns. */
  onBody: (envelope: Envelope, body: Uint8Array) => void;
  /** Called when a link that refused takes more again. */
  onDrain: () => void;
  /** Reads no more until `resume`, so that a receiver that is behind slows its sender down. Never on a control lane: heartbeats are there. */
  pause(): void;
  resume(): void;
}

/** `param` of the Problem with which a dial ends where another machine of the home answers than the one that is meant. */
export const ANOTHER = "machine";

export interface Network {
  /** Where others can dial this node. */
  readonly endpoints: readonly Endpoint[];
  /** Resolves once the other side has proved its key and said hello; rejects with a Problem (`unavailable`, `unauthorized`, `incompatible`). */
  dial(
    to: Endpoint,
    options: { readonly expect?: NodeId; readonly lane: Lane; readonly signal: AbortSignal },
  ): Promise<Link>;
  /** Set once: links that others opened. */
  onLink: (link: Link) => void;
  /** Ends the links of nodes that are members no more. */
  recheck(): void;
  /** What this node shows and trusts is another; open links stay. */
  renew(): void;
  close(): Promise<void>;
}
