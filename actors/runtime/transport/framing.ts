/**
 * Frames on a byte stream: a length (4 bytes, big endian, of what follows it), a kind (1 byte), then the payload. A frame whose
 * length is over the limit is refused before anything is kept of it.
 */
import { ProtocolError } from "#protocol/message";

/** `beat` has no payload: a member at rest says little else, to all others, four times a second. */
export const FrameKind = { hello: 0, envelope: 1, body: 2, beat: 3, notice: 4 } as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

/** An envelope, its length, and the body: a tensor of a chunk of prefill. */
export const BODY_FRAME_BYTES_MAX = 32 * 1024 * 1024;

const LENGTH_BYTES = 4;
export const HEAD_BYTES = LENGTH_BYTES + 1;
/** Before a body frame's envelope: how long it is. */
export const BODY_LENGTH_BYTES = 4;

interface Span {
  readonly from: number;
  readonly to: number;
}

/** Writes the head of a frame that has `length` bytes with it, at `at`. */
export function putHead(bytes: Uint8Array, at: number, kind: FrameKind, length: number): void {
  putUint32(bytes, at, length - LENGTH_BYTES);
  bytes[at + LENGTH_BYTES] = kind;
}

/** Where a body frame's envelope and its body lie. Throws ProtocolError. */
export function partsOfBody(bytes: Uint8Array, { from, to }: Span): readonly [envelope: Span, body: Span] {
  const start = from + BODY_LENGTH_BYTES;
  const end = start + (start > to ? 0 : uint32(bytes, from));
  if (start > to || end > to) throw new ProtocolError("a body frame is shorter than its envelope");
  return [
    { from: start, to: end },
    { from: end, to },
  ];
}

/** A whole small frame. */
export function frame(kind: FrameKind, payload: Uint8Array): Uint8Array {
  const made = new Uint8Array(HEAD_BYTES + payload.length);
  made.set(payload, HEAD_BYTES);
  putHead(made, 0, kind, made.length);
  return made;
}

export const uint32 = (bytes: Uint8Array, at: number): number =>
  (((bytes[at] ?? 0) << 24) |
    ((bytes[at + 1] ?? 0) << 16) |
    ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)) >>>
  0;

export function putUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** A frame's payload lies in `bytes` from `from` to `to`, and is valid until this returns: the next frame may lie in its place. */
export type TakeFrame = (kind: number, bytes: Uint8Array, from: number, to: number) => void;

/** Cuts what arrives into frames, where it lies if it came whole: for short messages a view costs as much as their reading. */
export class FrameReader {
  /** The most that a frame may have, without its length; may rise once a peer has said hello. */
  limit: number;
  /** May be replaced by what it is called for: the frames behind a hello are another's. */
  onFrame: TakeFrame;
  #head = new Uint8Array(HEAD_BYTES);
  #headBytes = 0;
  #kind = 0;
  /** Kept between frames: a stream of tensors is read into the same memory. */
  #space = new Uint8Array(0);
  #payloadBytes = 0;
  #filled = 0;

  constructor(limit: number, onFrame: TakeFrame) {
    this.limit = limit;
    this.onFrame = onFrame;
  }

  /** Bytes of a frame's payload that are still to come. */
  get missing(): number {
    return this.#headBytes === HEAD_BYTES ? this.#payloadBytes - this.#filled : 0;
  }

  /** Throws ProtocolError at a frame that is too long or empty, and what `onFrame` throws; the stream is of no use after. */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#headBytes === 0 && chunk.length - at >= HEAD_BYTES) {
        this.#begin(chunk, at);
        at += HEAD_BYTES;
      }
      if (this.#headBytes < HEAD_BYTES) at = this.#takeHead(chunk, at);
      if (this.#headBytes === HEAD_BYTES) at = this.#takePayload(chunk, at);
    }
  }

  #takeHead(chunk: Uint8Array, from: number): number {
    const count = Math.min(HEAD_BYTES - this.#headBytes, chunk.length - from);
    this.#head.set(chunk.subarray(from, from + count), this.#headBytes);
    this.#headBytes += count;
    if (this.#headBytes === HEAD_BYTES) this.#begin(this.#head, 0);
    return from + count;
  }

  /** A whole head lies at `at`. */
  #begin(bytes: Uint8Array, at: number): void {
    const length = uint32(bytes, at);
    if (length < 1 || length > this.limit)
      throw new ProtocolError(`a frame of ${length} bytes; the limit here is ${this.limit}`);
    this.#headBytes = HEAD_BYTES;
    this.#kind = bytes[at + LENGTH_BYTES] ?? 0;
    this.#payloadBytes = length - 1;
    this.#filled = 0;
  }

  #takePayload(chunk: Uint8Array, from: number): number {
    const missing = this.#payloadBytes - this.#filled;
    if (this.#filled === 0 && chunk.length - from >= missing) {
      this.#finish(chunk, from, from + missing);
      return from + missing;
    }
    if (this.#space.length < this.#payloadBytes) this.#space = new Uint8Array(this.#payloadBytes);
    const count = Math.min(missing, chunk.length - from);
    this.#space.set(chunk.subarray(from, from + count), this.#filled);
    this.#filled += count;
    if (count === missing) this.#finish(this.#space, 0, this.#payloadBytes);
    return from + count;
  }

  #finish(bytes: Uint8Array, from: number, to: number): void {
    this.#headBytes = 0;
    this.onFrame(this.#kind, bytes, from, to);
  }
}
