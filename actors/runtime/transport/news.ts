/** What is said on a connection that becomes no link: why not, and, where the one that says so has missed something, what. */
import type { Socket } from "bun";
import { NOTICE_BYTES_MAX, type Notice } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import { decodeNotice } from "#protocol/notice";
import { Problem } from "#protocol/problem";
import { noticeFrame } from "./asking.ts";
import type { Connection } from "./connection.ts";
import { FrameKind } from "./framing.ts";
import { reason } from "./thrown.ts";
import type { Trust } from "./trust.ts";

type TlsSocket = Socket<Connection>;

interface TellingPorts {
  readonly trust: Trust;
  readonly refuse: (why: string) => void;
}

/** Who dialled learns why, and closes then; it may answer with a newer notice, which is heard once. */
export async function tellNews(socket: TlsSocket, node: NodeId, ports: TellingPorts): Promise<void> {
  const { trust, refuse } = ports;
  const { data } = socket;
  data.reader.limit = NOTICE_BYTES_MAX;
  data.isTold = true;
  data.reader.onFrame = (kind, bytes, from, to) => {
    if (kind !== FrameKind.notice) return; // It said hello before it heard anything.
    data.reader.onFrame = () => {};
    trust.noticed?.(decodeNotice(bytes.slice(from, to)));
  };
  const told = trust.notice?.(node);
  const notice = await told?.catch((error: unknown) => refuse(reason(error)));
  if (notice && !data.problem) say(socket, noticeFrame(notice));
}

interface HeedingPorts {
  readonly trust: Trust;
  readonly crashed: (error: unknown) => void;
  /** The connection is over; `closing`: what was said on it still goes out. */
  readonly end: (closing?: "closing") => void;
}

/** Takes what the other side says instead of hello, and answers what is newer where it can. Throws ProtocolError for what is no notice. */
export function heedNews(socket: TlsSocket, node: NodeId, payload: Uint8Array, ports: HeedingPorts): void {
  const { trust, crashed, end } = ports;
  const notice = decodeNotice(payload);
  socket.data.reader.onFrame = () => {};
  trust.noticed?.(notice);
  // After that: what was news here is not older than what is known here any more.
  const newer = trust.newer?.(node, notice);
  if (newer === undefined) end();
  else answer(newer, socket, end).catch(crashed);
}

/** What cannot be told now is told when it dials again. */
async function answer(newer: Promise<Notice>, socket: TlsSocket, end: HeedingPorts["end"]): Promise<void> {
  try {
    say(socket, noticeFrame(await newer), () => end("closing"));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    end();
  }
}

/** What the socket does not take at once goes out when it has drained. */
function say(socket: TlsSocket, bytes: Uint8Array, done = () => {}): void {
  const rest = bytes.subarray(Math.max(0, socket.write(bytes, 0, bytes.length)));
  socket.data.sayRest = rest.length > 0 ? () => say(socket, rest, done) : undefined;
  if (rest.length === 0) done();
}
