/** Messages to msgpack bytes and back: one whole frame at a time, size and depth bounded before anything is built. */
import type { Address } from "./ids.ts";
import { type AnyMessage, accept, isDeclared, ProtocolError } from "./message.ts";
import { readMsgpack } from "./msgpack.ts";
import { MsgpackWriter, type Outbox } from "./msgpack-writer.ts";

/** Rises only when an old peer could misread a frame. */
export const PROTOCOL_VERSION = 1;

/** Tensors never travel here, so a control frame this large is an error of the sender. */
export const FRAME_BYTES_MAX = 16 * 1024 * 1024;

/**
 * A message with its addresses; `id` marks a question, `re` the answer to it. `body` are bytes that belong to the message and are no
 * part of its encoding: whoever carries the envelope carries them as they are, behind it.
 */
export interface Envelope {
  readonly to: Address;
  readonly from: Address;
  readonly id?: number;
  readonly re?: number;
  readonly message: AnyMessage;
  readonly body?: Uint8Array;
}

const writer = new MsgpackWriter(FRAME_BYTES_MAX);

/** The frame's body (its length travels outside), behind `room` bytes that are left free for a head. Throws ProtocolError when it would be too long. */
export function encode(envelope: Envelope, room = 0): Uint8Array<ArrayBuffer> {
  try {
    return writer.write(partsOf(envelope), room);
  } catch (error) {
    throw named(envelope, error);
  }
}

/** As `encode`, behind what `out` holds already; one that throws leaves it as it was. */
export function encodeInto(envelope: Envelope, out: Outbox, room: number): void {
  try {
    writer.append(partsOf(envelope), out, room);
  } catch (error) {
    throw named(envelope, error);
  }
}

const partsOf = ({ to, from, id = 0, re = 0, message }: Envelope): readonly unknown[] => [
  PROTOCOL_VERSION,
  to,
  from,
  id,
  re,
  message,
];

const named = ({ message }: Envelope, error: unknown): unknown =>
  error instanceof ProtocolError ? new ProtocolError(`${message.type}: ${error.message}`) : error;

/** Decodes and checks one frame, the bytes from `start` to `end`; throws ProtocolError that names what is wrong, `UnknownMessage` for one that is whole but not of ours. */
export function decode(bytes: Uint8Array, start = 0, end = bytes.length): Envelope {
  if (end - start > FRAME_BYTES_MAX)
    throw new ProtocolError(`a frame of ${end - start} bytes is over the limit`);
  const frame = readMsgpack(bytes, start, end);
  if (!Array.isArray(frame) || frame.length < 6) throw new ProtocolError("a frame must be an array of six");
  const parts: readonly unknown[] = frame;
  if (parts[0] !== PROTOCOL_VERSION)
    throw new ProtocolError(`protocol version ${String(parts[0])} is not ${PROTOCOL_VERSION}`);
  const made = envelopeOf(parts[1], parts[2], parts[3], parts[4], parts[5]);
  if (!isDeclared(made.message)) throw new UnknownMessage(made);
  accept(made.message);
  return made;
}

/** With `id` and `re` only where there is one. */
function envelopeOf(to: unknown, from: unknown, id: unknown, re: unknown, message: unknown): Envelope {
  if (typeof to !== "string" || typeof from !== "string" || !isId(id) || !isId(re))
    throw new ProtocolError("a frame's addresses must be text and its ids whole numbers");
  if (to.length > ADDRESS_MAX || from.length > ADDRESS_MAX)
    throw new ProtocolError(`an address of more than ${ADDRESS_MAX} characters is none`);
  const made = { to, from, message } as { -readonly [K in keyof Envelope]: Envelope[K] };
  if (id > 0) made.id = id;
  if (re > 0) made.re = re;
  return made;
}

/** A whole frame whose message is not declared here: of a newer version, so that its sender is told and the link goes on. */
export class UnknownMessage extends ProtocolError {
  /** The message is reduced to its type. */
  readonly envelope: Envelope;

  constructor({ message, ...envelope }: Envelope) {
    const type = message.type.slice(0, TYPE_MAX);
    super(`unknown message ${type}`);
    this.envelope = { ...envelope, message: { type } };
  }
}

/** None of ours is half as long; traces, logs and tables keep addresses as they came. */
const ADDRESS_MAX = 512;

/** A name for logs and refusals, never longer than a line. */
const TYPE_MAX = 64;

const isId = (id: unknown): id is number => Number.isSafeInteger(id) && Number(id) >= 0;
