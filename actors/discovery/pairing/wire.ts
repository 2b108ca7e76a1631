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
  message(message: AnyMessage): void;
  closed(why: string): void;
}

/** `side` is this end's. What is no known message closes the channel. */
export function wireOn(channel: StrangerChannel, side: "host" | "applicant", heard: Heard): Wire {
  const [from, to] = side === "host" ? [HOST, APPLICANT] : [APPLICANT, HOST];
  let sealed: ReturnType<typeof sealOf> | undefined;
  channel.onClose = (why) => heard.closed(why);
  channel.onFrame = (kind, payload) => {
    const inClear = kind === FrameKind.hello;
    if (!inClear && !(kind === FrameKind.envelope && sealed))
      throw new ProtocolError("a frame of another kind");
    const { message } = decode(inClear || !sealed ? payload : sealed.open(payload));
    // A host that found no key can only refuse in the clear; who could forge that could as well cut the connection.
    if (inClear && sealed && message.type !== "Host.Refused")
      throw new ProtocolError(`${message.type} in the clear`);
    heard.message(message);
  };
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
