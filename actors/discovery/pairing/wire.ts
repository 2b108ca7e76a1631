/** Messages of a pairing on a channel: checked as all messages are, in the clear until there is a key, then sealed. */
import { sealOf } from "#actors/runtime/security/seal";
import { FrameKind } from "#actors/runtime/transport/framing";
import type { StrangerChannel } from "#actors/runtime/transport/stranger";
import { decode, encode } from "#protocol/codec";
import type { Address } from "#protocol/ids";
import { type AnyMessage, ProtocolError } from "#protocol/message";

/** A member list of 256 machines with all their labels, and their addresses. */
const RECORD_BYTES_MAX = 1024 * 1024;

const HOST = "host/pairing" as Address;
const APPLICANT = "applicant/pairing" as Address;

export interface Wire {
  /** Everything that comes and goes after the call is sealed with `key` for this connection. */
  seal(key: Uint8Array): void;
  send(message: AnyMessage): void;
  close(): void;
}

export interface Heard {
  /** What comes after a message waits until the work on it is done, as it may be sealed by what that brings. */
  message(message: AnyMessage): void | Promise<void>;
  closed(why: string): void;
}

interface Frame {
  readonly kind: number;
  readonly payload: Uint8Array;
}

/** Nobody says more before he hears something: the rest of a pairing, and a word that it failed. */
const WAITING_MAX = 8;

/** Frames are taken one after the other, also when the work on one takes its time. */
function inTurn(
  channel: StrangerChannel,
  take: (frame: Frame) => void | Promise<void>,
  closed: (why: string) => void,
): void {
  const waiting: Frame[] = [];
  let isWorking = false;
  const fail = (error: unknown) => {
    waiting.length = 0;
    channel.close();
    closed(error instanceof Error ? error.message : String(error));
  };
  const work = async (first: Promise<void>) => {
    isWorking = true;
    try {
      await first;
      for (let next = waiting.shift(); next; next = waiting.shift()) await take(next);
    } catch (error) {
      fail(error);
    } finally {
      isWorking = false;
    }
  };
  channel.onFrame = (kind, payload) => {
    if (!isWorking) {
      const taken = take({ kind, payload });
      if (taken instanceof Promise) void work(taken);
    } else if (waiting.length < WAITING_MAX) waiting.push({ kind, payload: payload.slice() });
    else throw new ProtocolError("more is said than is asked for");
  };
}

/** `side` is this end's. What is no known message closes the channel. */
export function wireOn(channel: StrangerChannel, side: "host" | "applicant", heard: Heard): Wire {
  const [from, to] = side === "host" ? [HOST, APPLICANT] : [APPLICANT, HOST];
  let sealed: ReturnType<typeof sealOf> | undefined;
  channel.onClose = (why) => heard.closed(why);
  const take = ({ kind, payload }: Frame) => {
    const inClear = kind === FrameKind.hello;
    if (!inClear && !(kind === FrameKind.envelope && sealed))
      throw new ProtocolError("a frame of another kind");
    const { message } = decode(inClear || !sealed ? payload : sealed.open(payload));
    // A host that found no key can only refuse in the clear; who could forge that could as well cut the connection.
    if (inClear && sealed && message.type !== "Host.Refused")
      throw new ProtocolError(`${message.type} in the clear`);
    return heard.message(message);
  };
  inTurn(channel, take, (why) => heard.closed(why));
  return {
    seal(key) {
      sealed = sealOf(key, channel.binding, side);
      if (side === "applicant") channel.frameBytesMax = RECORD_BYTES_MAX;
    },
    send(message) {
      const bytes = encode({ to, from, message });
      if (sealed) channel.send(FrameKind.envelope, sealed.seal(bytes));
      else channel.send(FrameKind.hello, bytes);
    },
    close: () => channel.close(),
  };
}
