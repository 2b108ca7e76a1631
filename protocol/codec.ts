/** Messages to msgpack bytes and back: one whole frame at a time, size and depth bounded before anything is built. */
import { Decoder, Encoder } from "@msgpack/msgpack";
import { Address } from "./ids.ts";
import { type AnyMessage, accept, ProtocolError } from "./message.ts";

/** Rises only when an old peer could misread a frame; see protocol/golden. */
export const PROTOCOL_VERSION = 1;

/** Tensors never travel here, so a control frame this large is an error of the sender. */
export const FRAME_BYTES_MAX = 16 * 1024 * 1024;
const DEPTH_MAX = 32;

/** A message with its addresses; `id` marks a question, `re` the answer to it. */
export interface Envelope {
  readonly to: Address;
  readonly from: Address;
  readonly id?: number;
  readonly re?: number;
  readonly message: AnyMessage;
}

const encoder = new Encoder({ ignoreUndefined: true, maxDepth: DEPTH_MAX });
const decoder = new Decoder({ maxBinLength: FRAME_BYTES_MAX, maxStrLength: FRAME_BYTES_MAX });

/** The frame's body (its length travels outside). Throws ProtocolError when it would be too long. */
export function encode(envelope: Envelope): Uint8Array {
  const { to, from, id = 0, re = 0, message } = envelope;
  const bytes = encoder.encode([PROTOCOL_VERSION, to, from, id, re, message]);
  if (bytes.length > FRAME_BYTES_MAX) throw new ProtocolError(`${message.type}: ${bytes.length} bytes is over the frame limit`);
  return bytes;
}

/** Decodes and checks one frame; throws ProtocolError that names what is wrong. */
export function decode(bytes: Uint8Array): Envelope {
  if (bytes.length > FRAME_BYTES_MAX) throw new ProtocolError(`a frame of ${bytes.length} bytes is over the limit`);
  checkDepth(bytes);
  const frame = decodeFrame(bytes);
  if (!Array.isArray(frame) || frame.length < 6) throw new ProtocolError("a frame must be an array of six");
  const [version, to, from, id, re, message] = frame as unknown[];
  if (version !== PROTOCOL_VERSION) throw new ProtocolError(`protocol version ${String(version)} is not ${PROTOCOL_VERSION}`);
  if (typeof to !== "string" || typeof from !== "string" || typeof id !== "number" || typeof re !== "number") {
    throw new ProtocolError("a frame's addresses must be text and its ids numbers");
  }
  return {
    to: to as Address,
    from: from as Address,
    ...(id > 0 && { id }),
    ...(re > 0 && { re }),
    message: accept(message),
  };
}

function decodeFrame(bytes: Uint8Array): unknown {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw new ProtocolError(`not msgpack: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/**
 * Walks the headers of a msgpack value (format: https://github.com/msgpack/msgpack/blob/master/spec.md) and refuses one
 * nested deeper than DEPTH_MAX; the decoder has no limit of its own.
 */
function checkDepth(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const open: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const { size, children } = header(view, at);
    at += size;
    if (children > 0) open.push(children);
    if (open.length > DEPTH_MAX) throw new ProtocolError(`nested deeper than ${DEPTH_MAX}`);
    if (children > 0) continue;
    while (open.length > 0) {
      const left = (open.pop() ?? 0) - 1;
      if (left > 0) {
        open.push(left);
        break;
      }
    }
  }
}

/** Size in bytes of the item at `at` without its children, and how many children follow. */
function header(view: DataView, at: number): { size: number; children: number } {
  const tag = view.getUint8(at);
  if (tag <= 0x7f || tag >= 0xe0) return { size: 1, children: 0 };
  if (tag <= 0x8f) return { size: 1, children: 2 * (tag & 0x0f) };
  if (tag <= 0x9f) return { size: 1, children: tag & 0x0f };
  if (tag <= 0xbf) return { size: 1 + (tag & 0x1f), children: 0 };
  return wideHeader(view, at, tag);
}

const FIXED: Readonly<Record<number, number>> = {
  192: 1, 194: 1, 195: 1, 202: 5, 203: 9, 204: 2, 205: 3, 206: 5, 207: 9, 208: 2, 209: 3, 210: 5, 211: 9,
  212: 3, 213: 4, 214: 6, 215: 10, 216: 18,
}; // biome-ignore format: a table

function wideHeader(view: DataView, at: number, tag: number): { size: number; children: number } {
  const fixed = FIXED[tag];
  if (fixed) return { size: fixed, children: 0 };
  if (at + 5 > view.byteLength && at + headBytes(tag) > view.byteLength) throw new ProtocolError("truncated frame");
  switch (tag) {
    case 0xc4:
    case 0xd9:
      return { size: 2 + view.getUint8(at + 1), children: 0 };
    case 0xc5:
    case 0xda:
      return { size: 3 + view.getUint16(at + 1), children: 0 };
    case 0xc6:
    case 0xdb:
      return { size: 5 + view.getUint32(at + 1), children: 0 };
    case 0xc7:
      return { size: 3 + view.getUint8(at + 1), children: 0 };
    case 0xc8:
      return { size: 4 + view.getUint16(at + 1), children: 0 };
    case 0xc9:
      return { size: 6 + view.getUint32(at + 1), children: 0 };
    case 0xdc:
      return { size: 3, children: view.getUint16(at + 1) };
    case 0xdd:
      return { size: 5, children: view.getUint32(at + 1) };
    case 0xde:
      return { size: 3, children: 2 * view.getUint16(at + 1) };
    case 0xdf:
      return { size: 5, children: 2 * view.getUint32(at + 1) };
    default:
      throw new ProtocolError(`msgpack tag ${tag} is not used`);
  }
}

const headBytes = (tag: number): number => (tag === 0xc4 || tag === 0xd9 || tag === 0xc7 ? 2 : tag % 2 === 1 ? 3 : 5);
