/**
 * Asks a member, whose certificate this node cannot check any more, what became of the home: the cluster's key may have changed
 * while this node was away. The member is known by its key, so that the library's check can be spared; nothing but a notice is read.
 */
import { NOTICE_BYTES_MAX, type Notice } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import { ProtocolError } from "#protocol/message";
import { decodeNotice, encodeNotice } from "#protocol/notice";
import { Problem } from "#protocol/problem";
import type { Clock } from "../clock.ts";
import { keyOf } from "../security/certificate.ts";
import { type Identity, nodeIdOf } from "../security/identity.ts";
import { STEP_ANSWER_MS } from "../security/steps.ts";
import { FrameKind, FrameReader, frame } from "./framing.ts";
import type { Endpoint } from "./network.ts";
import { tlsSettings } from "./tls-settings.ts";
import type { Trust } from "./trust.ts";

/** The other side makes a certificate first. */
const ANSWER_MS = STEP_ANSWER_MS;

export interface AskingOptions {
  readonly identity: Identity;
  readonly trust: Trust;
  readonly clock: Clock;
  readonly refused: (from: string, why: string) => void;
}

/** What a dial's problem names: the library's check of the other side ended it, or the other side told something instead. */
export const CERTIFICATE = "certificate";
export const NEWS = "news";

/** Whether this node learnt something by a dial that failed, so that another may succeed. */
export async function isTold(
  error: unknown,
  options: AskingOptions,
  to: Endpoint,
  expect: NodeId | undefined,
): Promise<boolean> {
  if (!(error instanceof Problem) || !expect) return false;
  if (error.param !== CERTIFICATE) return error.param === NEWS;
  const answer = await askForNews(options, to, expect);
  if (answer === "refused") options.trust.estranged?.(expect);
  return answer === "told";
}

export const noticeFrame = (notice: Notice): Uint8Array => frame(FrameKind.notice, encodeNotice(notice));

/** `refused`: the member is there, and knows this node's certificate as little as this node knows its own. */
type Answer = "told" | "refused" | "silent";

async function askForNews(
  { identity, trust, clock, refused }: AskingOptions,
  { host, port }: Endpoint,
  expect: NodeId,
): Promise<Answer> {
  const ended = Promise.withResolvers<Answer>();
  let isThere = false;
  const nothing = () => ended.resolve(isThere ? "refused" : "silent");
  const cancel = clock.after(ANSWER_MS, () => ended.resolve("silent"));
  const fail = (error: unknown) => {
    if (error instanceof ProtocolError) refused(host, error.message);
    nothing();
  };
  const reader = new FrameReader(NOTICE_BYTES_MAX, (kind, bytes, from, to) => {
    if (kind !== FrameKind.notice) throw new ProtocolError("the answer to a question for news is none");
    trust.noticed?.(decodeNotice(bytes.slice(from, to)));
    ended.resolve("told");
  });
  const opened = Bun.connect({
    hostname: host,
    port,
    tls: { ...tlsSettings(identity, trust), rejectUnauthorized: false },
    socket: {
      handshake(socket) {
        isThere = nodeIdOf(keyOf(socket.getPeerX509Certificate())) === expect;
        if (isThere) socket.write(frame(FrameKind.notice, new Uint8Array(0)));
        else nothing();
      },
      data(_, bytes) {
        try {
          reader.push(bytes);
        } catch (error) {
          fail(error);
        }
      },
      close: nothing,
      error: (_, error) => fail(error),
    },
  });
  opened.catch(fail); // It answered a moment ago; the next dial tells what is wrong.
  const answer = await ended.promise;
  cancel();
  // Not waited for: a connection that still opens is closed when it has.
  opened.then((socket) => socket.terminate()).catch(() => {});
  return answer;
}
