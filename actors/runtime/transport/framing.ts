/**
 * Frames on a byte stream: a length (4 bytes, big endian, of what follows it), a kind (1 byte), then the payload. A frame whose
 * length is over the limit is refused before anything is kept of it.
 */
import { ProtocolError } from "#protocol/message";

export const FrameKind = { hello: 0, envelope: 1, body: 2 } as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

const LENGTH_BYTES = 4;
const HEAD_BYTES = LENGTH_BYTES + 1;

/** The head of a frame whose payload has `payloadBytes`. */
export function frameHead(kind: FrameKind, payloadBytes: number, extraBytes = 0): Uint8Array {
  const head = new Uint8Array(HEAD_BYTES + extraBytes);
  new DataView(head.buffer).setUint32(0, payloadBytes + extraBytes + 1);
  head[LENGTH_BYTES] = kind;
  return head;
}

/** A whole small frame. */
export function frame(kind: FrameKind, payload: Uint8Array): Uint8Array {
  const made = new Uint8Array(HEAD_BYTES + payload.length);
  new DataView(made.buffer).setUint32(0, payload.length + 1);
  made[LENGTH_BYTES] = kind;
  made.set(payload, HEAD_BYTES);
  return made;
}

/** Cuts what arrives into frames. The payload given to `onFrame` is valid until it returns: the next frame may lie in its place. */
export class FrameReader {
  /** The most that a frame may have, without its length; may rise once a peer has said hello. */
  limit: number;
  /** May be replaced by what it is called for: the frames behind a hello are another's. */
  onFrame: (kind: number, payload: Uint8Array) => void;
  #head = new Uint8Array(HEAD_BYTES);
  #headBytes = 0;
  /** Kept between frames: a stream of tensors is read into the same memory. */
  #space = new Uint8Array(0);
  #payloadBytes = 0;
  #filled = 0;

  constructor(limit: number, onFrame: (kind: number, payload: Uint8Array) => void) {
    this.limit = limit;
    this.onFrame = onFrame;
  }

  /** Throws ProtocolError at a frame that is too long or empty, and what `onFrame` throws; the stream is of no use after. */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#headBytes < HEAD_BYTES) at = this.#takeHead(chunk, at);
      if (this.#headBytes === HEAD_BYTES) at = this.#takePayload(chunk, at);
    }
  }

  #takeHead(chunk: Uint8Array, from: number): number {
    const count = Math.min(HEAD_BYTES - this.#headBytes, chunk.length - from);
    this.#head.set(chunk.subarray(from, from + count), this.#headBytes);
    this.#headBytes += count;
    if (this.#headBytes === HEAD_BYTES) {
      const length = new DataView(this.#head.buffer).getUint32(0);
      if (length < 1 || length > this.limit)
        throw new ProtocolError(`a frame of ${length} bytes; the limit here is ${this.limit}`);
      this.#payloadBytes = length - 1;
      this.#filled = 0;
    }
    return from + count;
  }

  #takePayload(chunk: Uint8Array, from: number): number {
    const missing = this.#payloadBytes - this.#filled;
    if (this.#filled === 0 && chunk.length - from >= missing) {
      this.#finish(chunk.subarray(from, from + missing));
      return from + missing;
    }
    if (this.#space.length < this.#payloadBytes) this.#space = new Uint8Array(this.#payloadBytes);
    const count = Math.min(missing, chunk.length - from);
    this.#space.set(chunk.subarray(from, from + count), this.#filled);
    this.#filled += count;
    if (count === missing) this.#finish(this.#space.subarray(0, this.#payloadBytes));
    return from + count;
  }

  #finish(payload: Uint8Array): void {
    this.#headBytes = 0;
    this.onFrame(this.#head[LENGTH_BYTES] ?? 0, payload);
  }
}
