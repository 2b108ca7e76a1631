/** One TLS connection from its first byte to its link, and what both ends of all of them are given. */
import { NOTICE_BYTES_MAX } from "#protocol/cluster";
import { HELLO_BYTES_MAX, type Spoken } from "#protocol/hello";
import type { NodeId } from "#protocol/ids";
import { ProtocolError } from "#protocol/message";
import type { Problem } from "#protocol/problem";
import type { Clock } from "../clock.ts";
import type { Identity } from "../security/identity.ts";
import { FrameReader } from "./framing.ts";
import type { Endpoint, Lane, Link } from "./network.ts";
import type { StreamLink } from "./tls-link.ts";
import type { Trust } from "./trust.ts";

export interface TlsOptions {
  readonly identity: Identity;
  /** 128 random bits in hex of this start. */
  readonly boot: string;
  readonly capabilities: readonly string[];
  /** Absent: what this version of the program speaks. */
  readonly spoken?: Spoken;
  readonly clock: Clock;
  readonly trust: Trust;
  /** Addresses to listen on, given explicitly: never all by accident. */
  readonly listen: readonly Endpoint[];
  /** A stranger or a faulty peer was refused: for the log, which says each source once a minute. */
  readonly refused: (from: string, why: string) => void;
  /** This process has failed while it served a link, which ends with it. */
  readonly crashed: (error: unknown) => void;
}

export interface Connection {
  readonly dialled: boolean;
  readonly to?: Endpoint;
  readonly lane?: Lane;
  readonly expect?: NodeId;
  readonly resolve?: (link: Link) => void;
  readonly reject?: (problem: Problem) => void;
  readonly reader: FrameReader;
  node?: NodeId;
  link?: StreamLink;
  problem?: Problem;
  settle: () => void;
  /** Says what the socket did not take yet of a notice. */
  sayRest?: (() => void) | undefined;
}

export const connectionOf = (start: Omit<Connection, "reader" | "settle">): Connection => ({
  ...start,
  settle: () => {},
  // Who dials may hear news instead of hello, of the member it wanted.
  reader: new FrameReader(start.dialled ? NOTICE_BYTES_MAX : HELLO_BYTES_MAX, () => {
    throw new ProtocolError("a frame came before the handshake was over");
  }),
});
