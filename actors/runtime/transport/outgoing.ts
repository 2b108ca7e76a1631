/** What goes out on one stream: frames, gathered where they are small, and what the socket has not taken yet. */
import { type Envelope, encodeInto } from "#protocol/codec";
import { ProtocolError } from "#protocol/message";
import type { Outbox } from "#protocol/msgpack-writer";
import { BODY_LENGTH_BYTES, FrameKind, frame, HEAD_BYTES, putHead, putUint32 } from "./framing.ts";

/** The calls of a socket that a link makes; Bun's are these. */
export interface ByteStream {
  /** Bytes that were taken of the `length` from `from` on; the rest is offered again after a drain. */
  write(bytes: Uint8Array, from: number, length: number): number;
  end(): void;
  /** Bytes stay in the system's buffers, and the sender learns of it, until `resume`. */
  pause(): void;
  resume(): void;
}

/** Frames of one turn that are smaller than this together go out as one: one system call, and whole TLS records. */
const GATHER_BYTES = 128 * 1024;
/** A link's first memory for what it sends, and the most that it keeps when nothing waits. */
const OUT_BYTES = 1024;
const OUT_BYTES_KEPT = 2 * GATHER_BYTES;
const BEAT = frame(FrameKind.beat, new Uint8Array(0));
/** A frame's head, and the length of its envelope, behind which the body lies. */
const BODY_HEAD_BYTES = HEAD_BYTES + BODY_LENGTH_BYTES;
/** The largest buffer that is kept for the rest of the next body. */
const SPARE_BYTES_MAX = 16 * 1024 * 1024;

export class Outgoing {
  /** Bytes that the socket has not taken. */
  waitingBytes = 0;
  readonly #stream: ByteStream;
  /** Called at the end of a turn in which something was sent. */
  readonly #turned: () => void;
  /** What the socket has refused so far, in order; new frames are written into `#out` behind it. */
  #waiting: Uint8Array[] = [];
  #out: Outbox = { bytes: new Uint8Array(OUT_BYTES), end: 0 };
  #turning = false;
  #blocked = false;
  #closed = false;
  #spare: Uint8Array = new Uint8Array(0);
  /** The memory of the last copy that waits: what is others' is never written into. */
  #copy: ArrayBufferLike | undefined;
  /** What `#out` was before, while that waits, and once it went out: a stream that is often blocked writes into the same two. */
  #sealed: ArrayBufferLike | undefined;
  #next: Uint8Array<ArrayBuffer> | undefined;
  readonly #turn = () => {
    this.#turning = false;
    this.flush();
    this.#turned();
  };

  constructor(stream: ByteStream, turned: () => void) {
    this.#stream = stream;
    this.#turned = turned;
  }

  add(envelope: Envelope): void {
    const out = this.#out;
    const at = out.end;
    encodeInto(envelope, out, HEAD_BYTES);
    putHead(out.bytes, at, FrameKind.envelope, out.end - at);
    this.#added(at);
  }

  addBeat(): void {
    const at = this.#out.end;
    append(this.#out, BEAT, BEAT.length);
    this.#added(at);
  }

  /** Throws ProtocolError for a frame of more than `limit` bytes, and leaves nothing of it. A body that `isGiven` is never copied. */
  addBody(envelope: Envelope, body: Uint8Array, isGiven: boolean, limit: number): void {
    const out = this.#out;
    const at = out.end;
    encodeInto(envelope, out, BODY_HEAD_BYTES);
    const length = out.end - at + body.length;
    if (length > limit) {
      out.end = at;
      const { type } = envelope.message;
      throw new ProtocolError(`${type}: a body of ${body.length} bytes is over the limit of its link`);
    }
    putHead(out.bytes, at, FrameKind.body, length);
    putUint32(out.bytes, at + HEAD_BYTES, out.end - at - BODY_HEAD_BYTES);
    const first = length <= GATHER_BYTES ? body.length : Math.max(0, GATHER_BYTES - out.end);
    append(out, body, first);
    this.#added(at);
    if (first < body.length) this.#sendRest(body, first, isGiven);
  }

  /** The socket takes more. */
  drained(): void {
    this.#blocked = false;
    this.flush();
  }

  /** Nothing goes out any more. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#next = undefined;
    this.#out = { bytes: new Uint8Array(0), end: 0 };
  }

  /** The first frame of a turn goes out at once, those behind it together at the turn's end, or when they are enough. */
  #added(from: number): void {
    this.waitingBytes += this.#out.end - from;
    if (this.#blocked) {
      if (this.#out.end >= GATHER_BYTES) this.#seal(0);
      return;
    }
    if (this.#turning && this.#out.end < GATHER_BYTES) return;
    if (!this.#turning) queueMicrotask(this.#turn);
    this.#turning = true;
    this.flush();
  }

  /** Straight from the caller's memory as far as the socket takes it; the rest is copied, unless the caller gave it away. */
  #sendRest(body: Uint8Array, from: number, isGiven: boolean): void {
    this.flush();
    const taken = this.#blocked ? from : from + this.#written(body, from);
    if (taken === body.length) return;
    this.#blocked = true;
    if (this.#out.end > 0) this.#seal(0);
    const rest = body.subarray(taken);
    this.#waiting.push(isGiven ? rest : this.#copied(rest));
    this.waitingBytes += rest.length;
  }

  /** As much as the socket takes now. */
  flush(): void {
    while (!this.#blocked && !this.#closed) {
      const [next] = this.#waiting;
      if (next) this.#flushWaiting(next);
      else if (this.#out.end > 0) this.#flushOut();
      else return;
    }
  }

  #flushWaiting(next: Uint8Array): void {
    const taken = this.#written(next, 0);
    this.waitingBytes -= taken;
    if (taken < next.length) {
      this.#blocked = true;
      this.#waiting[0] = next.subarray(taken);
      return;
    }
    this.#waiting.shift();
    this.#keepSpare(next);
  }

  #flushOut(): void {
    const out = this.#out;
    const taken = this.#written(out.bytes, 0, out.end);
    this.waitingBytes -= taken;
    if (taken < out.end) {
      this.#blocked = true;
      this.#seal(taken);
      return;
    }
    out.end = 0;
    if (out.bytes.length > OUT_BYTES_KEPT) out.bytes = new Uint8Array(OUT_BYTES);
  }

  #written(bytes: Uint8Array, from: number, to = bytes.length): number {
    return Math.max(0, this.#stream.write(bytes, from, to - from));
  }

  /** What `out` holds from `from` on waits as it is, and new memory is filled from now on. */
  #seal(from: number): void {
    const { bytes, end } = this.#out;
    this.#waiting.push(bytes.subarray(from, end));
    this.#sealed = bytes.buffer;
    this.#out = { bytes: this.#next ?? new Uint8Array(OUT_BYTES), end: 0 };
    this.#next = undefined;
  }

  /** A copy, in memory that an earlier one has left if that is large enough: fresh pages cost more than the copy. */
  #copied(bytes: Uint8Array): Uint8Array {
    const spare = this.#spare.length >= bytes.length ? this.#spare : new Uint8Array(bytes.length);
    this.#spare = new Uint8Array(0);
    spare.set(bytes);
    this.#copy = spare.buffer;
    return spare.subarray(0, bytes.length);
  }

  #keepSpare({ buffer }: Uint8Array): void {
    if (buffer === this.#sealed) {
      this.#sealed = undefined;
      const mayKeep = buffer instanceof ArrayBuffer && buffer.byteLength <= OUT_BYTES_KEPT;
      if (mayKeep && buffer.byteLength > OUT_BYTES) this.#next = new Uint8Array(buffer);
      return;
    }
    if (buffer !== this.#copy) return;
    this.#copy = undefined;
    const isWorthIt = buffer.byteLength > GATHER_BYTES && buffer.byteLength > this.#spare.length;
    if (isWorthIt && buffer.byteLength <= SPARE_BYTES_MAX) this.#spare = new Uint8Array(buffer);
  }
}

function append(out: Outbox, bytes: Uint8Array, count: number): void {
  const end = out.end + count;
  if (end > out.bytes.length) {
    const grown = new Uint8Array(Math.max(end, 2 * out.bytes.length));
    grown.set(out.bytes.subarray(0, out.end));
    out.bytes = grown;
  }
  out.bytes.set(count < bytes.length ? bytes.subarray(0, count) : bytes, out.end);
  out.end = end;
}
