/** Messages to msgpack bytes and back: one whole frame at a time, size and depth bounded before anything is built. */
import { Decoder, Encoder } from "@msgpack/msgpack";
import type { Address } from "./ids.ts";
import { type AnyMessage, accept, ProtocolError } from "./message.ts";

/** Rises only when an old peer could misread a frame. */
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
  if (bytes.length > FRAME_BYTES_MAX)
    throw new ProtocolError(`${message.type}: ${bytes.length} bytes is over the frame limit`);
  return bytes;
}

/** Decodes and checks one frame; throws ProtocolError that names what is wrong. */
export function decode(bytes: Uint8Array): Envelope {
  if (bytes.length > FRAME_BYTES_MAX)
    throw new ProtocolError(`a frame of ${bytes.length} bytes is over the limit`);
  const frame = decodeFrame(bytes);
  if (!Array.isArray(frame) || frame.length < 6) throw new ProtocolError("a frame must be an array of six");
  const [version, to, from, id, re, message] = frame as unknown[];
  if (version !== PROTOCOL_VERSION)
    throw new ProtocolError(`protocol version ${String(version)} is not ${PROTOCOL_VERSION}`);
  if (
    typeof to !== "string" ||
    typeof from !== "string" ||
    typeof id !== "number" ||
    typeof re !== "number"
  ) {
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
    checkDepth(bytes);
    return decoder.decode(bytes);
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
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
    if (children === 0) closeItem(open);
    else open.push(children);
    if (open.length > DEPTH_MAX) throw new ProtocolError(`nested deeper than ${DEPTH_MAX}`);
  }
}

/** One item is complete, and with it every container whose last child it was. */
function closeItem(open: number[]): void {
  while (open.length > 0) {
    const left = (open.pop() ?? 0) - 1;
    if (left > 0) {
      open.push(left);
      return;
    }
  }
}

interface Header {
  readonly size: number;
  readonly children: number;
}

/** Size in bytes of the item at `at` without its children, and how many children follow. */
function header(view: DataView, at: number): Header {
  const tag = view.getUint8(at);
  if (tag <= 0x7f || tag >= 0xe0) return { size: 1, children: 0 };
  if (tag <= 0x8f) return { size: 1, children: 2 * (tag & 0x0f) };
  if (tag <= 0x9f) return { size: 1, children: tag & 0x0f };
  if (tag <= 0xbf) return { size: 1 + (tag & 0x1f), children: 0 };
  return wideHeader(view, at, tag);
}

/** Tags whose items have one size: nil, booleans, numbers and the fixed extensions. */
// biome-ignore format: a table
const FIXED: Readonly<Record<number, number>> = {
  192: 1, 194: 1, 195: 1, 202: 5, 203: 9, 204: 2, 205: 3, 206: 5, 207: 9, 208: 2, 209: 3, 210: 5, 211: 9,
  212: 3, 213: 4, 214: 6, 215: 10, 216: 18,
};
/** Tags followed by a length of 1, 2 or 4 bytes: binary, extension and text, then arrays and maps. */
const SIZED: Readonly<Record<number, readonly [lengthBytes: 1 | 2 | 4, extra: number]>> = {
  196: [1, 0],
  197: [2, 0],
  198: [4, 0],
  199: [1, 1],
  200: [2, 1],
  201: [4, 1],
  217: [1, 0],
  218: [2, 0],
  219: [4, 0],
};
const NESTED: Readonly<Record<number, readonly [lengthBytes: 2 | 4, perItem: 1 | 2]>> = {
  220: [2, 1],
  221: [4, 1],
  222: [2, 2],
  223: [4, 2],
};

function wideHeader(view: DataView, at: number, tag: number): Header {
  const fixed = FIXED[tag];
  if (fixed) return { size: fixed, children: 0 };
  const sized = SIZED[tag];
  if (sized) return { size: 1 + sized[0] + sized[1] + length(view, at + 1, sized[0]), children: 0 };
  const nested = NESTED[tag];
  if (nested) return { size: 1 + nested[0], children: nested[1] * length(view, at + 1, nested[0]) };
  throw new ProtocolError(`msgpack tag ${tag} is not used`);
}

function length(view: DataView, at: number, bytes: 1 | 2 | 4): number {
  if (bytes === 1) return view.getUint8(at);
  return bytes === 2 ? view.getUint16(at) : view.getUint32(at);
}
