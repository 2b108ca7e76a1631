/** One TLS connection from its first byte to its link, and what both ends of all of them are given. */
import { NOTICE_BYTES_MAX } from "#protocol/cluster";
import { HELLO_BYTES_MAX, type Spoken } from "#protocol/hello";
import type { NodeId } from "#protocol/ids";
import { ProtocolError } from "#protocol/message";
import type { Problem } from "#protocol/problem";
import type { Clock } from "../clock.ts";
import type { Identity } from "../security/identity.ts";
import { STEP_ANSWER_MS } from "../security/steps.ts";
import { FrameReader } from "./framing.ts";
import type { Endpoint, Lane, Link } from "./network.ts";
import { noHello, slowNotice } from "./refusal.ts";
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
  /** It becomes no link: it hears why, once that is made. */
  isTold?: boolean;
  /** Says what the socket did not take yet of a notice. */
  sayRest?: (() => void) | undefined;
}

/** TLS and both hellos; a machine under load answers within it. */
const GREETING_MS = 5000;

/** Until it is a link it has a deadline; `late` hears of it. Who is to be told what it missed is kept until that can be made. */
export function limit(connection: Connection, clock: Clock, late: (why: string) => void): void {
  let cancel = clock.after(GREETING_MS, () => {
    if (!connection.isTold) late(noHello(GREETING_MS));
    else cancel = clock.after(STEP_ANSWER_MS, () => late(slowNotice(STEP_ANSWER_MS)));
  });
  connection.settle = () => cancel();
}

export const connectionOf = (start: Omit<Connection, "reader" | "settle">): Connection => ({
  ...start,
  settle: () => {},
  // Who dials may hear news instead of hello, of the member it wanted.
  reader: new FrameReader(start.dialled ? NOTICE_BYTES_MAX : HELLO_BYTES_MAX, () => {
    throw new ProtocolError("a frame came before the handshake was over");
  }),
});
