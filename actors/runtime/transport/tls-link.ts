/** One open connection to a peer: frames in both directions, with a bound on what waits. */
import { decode, type Envelope, encode, FRAME_BYTES_MAX, UnknownMessage } from "#protocol/codec";
import { encodeHello, type Hello } from "#protocol/hello";
import type { NodeId } from "#protocol/ids";
import { ProtocolError } from "#protocol/message";
import { Runtime } from "#protocol/runtime";
import { FrameKind, type FrameReader, frame, HEAD_BYTES, putHead, putUint32, uint32 } from "./framing.ts";
import { LinkNames } from "./link-names.ts";
import type { Endpoint, Lane, Link, Peer } from "./network.ts";

/** The calls of a socket that a link makes; Bun's are these. */
export interface ByteStream {
  /** Bytes that were taken; the rest is offered again after a drain. */
  write(bytes: Uint8Array): number;
  end(): void;
  /** Bytes stay in the system's buffers, and the sender learns of it, until `resume`. */
  pause(): void;
  resume(): void;
}

/** While more than this waits, nothing is taken: enough to keep a socket busy, little enough that a slow receiver costs its sender nothing. */
const WAITING_BYTES_MAX: Readonly<Record<Lane, number>> = {
  control: 2 * FRAME_BYTES_MAX,
  data: 1024 * 1024,
  file: 1024 * 1024,
};
/** A body frame is an envelope, its length, and the body: a tensor of a chunk of prefill on data lanes, a part of a file on file lanes. */
const FRAME_LIMIT: Readonly<Record<Lane, number>> = {
  control: FRAME_BYTES_MAX,
  data: 32 * 1024 * 1024,
  file: FRAME_BYTES_MAX,
};
/** Frames of one turn that are smaller than this together go out as one: one system call, and whole TLS records. */
const GATHER_BYTES = 128 * 1024;
/** Above this a call of its own costs less than one more copy. */
const SMALL_BYTES = 16 * 1024;
const BEAT = frame(FrameKind.beat, new Uint8Array(0));
/** The largest buffer that is kept for the rest of the next body. */
const SPARE_BYTES_MAX = 16 * 1024 * 1024;

export interface LinkFacts {
  readonly self: NodeId;
  readonly peer: Peer;
  readonly lane: Lane;
  readonly remote: Endpoint;
  readonly local: string;
  readonly dialled: boolean;
}

export class StreamLink implements Link {
  readonly peer: Peer;
  readonly lane: Lane;
  readonly remote: Endpoint;
  readonly local: string;
  readonly dialled: boolean;
  onReceive: (envelope: Envelope) => void = () => {};
  onBody: (envelope: Envelope, body: Uint8Array) => void = () => {};
  onClose: (reason: string) => void = () => {};
  onDrain: () => void = () => {};
  readonly #names: LinkNames;
  readonly #stream: ByteStream;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #flushing = false;
  #blocked = false;
  #refused = false;
  #open = true;
  #spare: Uint8Array = new Uint8Array(0);
  /** The memory of the last copy that waits: what is others' is never written into. */
  #copy: ArrayBufferLike | undefined;
  readonly #flushSoon = () => {
    this.#flush();
    this.#tellOfRoom();
  };

  constructor({ self, peer, lane, remote, local, dialled }: LinkFacts, stream: ByteStream) {
    this.#names = new LinkNames(self, peer.node);
    this.peer = peer;
    this.lane = lane;
    this.remote = remote;
    this.local = local;
    this.dialled = dialled;
    this.#stream = stream;
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  send(envelope: Envelope): boolean {
    if (!this.#mayTake()) return false;
    if (envelope.message.type === this.#names.beat.message.type) this.#queue(BEAT);
    else {
      const bytes = encode(this.#names.shortened(envelope), HEAD_BYTES);
      putHead(bytes, FrameKind.envelope);
      this.#queue(bytes);
    }
    return true;
  }

  sendBody(envelope: Envelope, body: Uint8Array, isGiven = false): boolean {
    const head = bodyHead(this.#names.shortened(envelope), body.length);
    const total = head.length + body.length;
    if (total > FRAME_LIMIT[this.lane])
      throw new ProtocolError(
        `${envelope.message.type}: a body of ${body.length} bytes is over the limit of its link`,
      );
    if (!this.#mayTake()) return false;
    if (total <= GATHER_BYTES) this.#queue(joined(head, body));
    else this.#sendLarge(head, body, isGiven);
    return true;
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  close(): void {
    if (!this.#open) return;
    this.#flush();
    this.#open = false;
    this.#stream.end();
  }

  /** Takes over what follows a peer's hello. */
  readFrom(reader: FrameReader): void {
    reader.limit = FRAME_LIMIT[this.lane];
    reader.onFrame = (kind, payload) => this.#take(kind, payload);
  }

  /** The socket takes more. */
  drained(): void {
    this.#blocked = false;
    this.#flush();
    this.#tellOfRoom();
  }

  /** The socket is closed; said once. */
  closed(reason: string): void {
    if (this.#waiting.length > 0) this.#waiting = [];
    this.#open = false;
    this.onClose(reason);
    this.onClose = () => {};
  }

  #take(kind: number, payload: Uint8Array): void {
    if (!this.#open) return;
    if (kind === FrameKind.envelope) this.#takeEnvelope(payload);
    else if (kind === FrameKind.body) this.#takeBody(payload);
    else if (kind === FrameKind.beat) this.onReceive(this.#names.beat);
    else throw new ProtocolError(`a frame of kind ${kind} is not known after hello`);
  }

  #takeEnvelope(payload: Uint8Array): void {
    const envelope = this.#read(payload);
    if (envelope) this.onReceive(envelope);
  }

  #takeBody(payload: Uint8Array): void {
    const length = payload.length < 4 ? payload.length : uint32(payload, 0);
    if (length > payload.length - 4) throw new ProtocolError("a body frame is shorter than its envelope");
    const envelope = this.#read(payload.subarray(4, 4 + length));
    if (envelope) this.onBody(envelope, payload.subarray(4 + length));
  }

  /** Nothing for a message that is not known here: of a newer version, whose question is refused by name. */
  #read(bytes: Uint8Array): Envelope | undefined {
    try {
      return this.#names.checked(decode(bytes));
    } catch (error) {
      if (!(error instanceof UnknownMessage)) throw error;
      const { id, from, to } = this.#names.checked(error.envelope);
      const problem = { kind: "invalid" as const, message: `${this.#names.self}: ${error.message}` };
      if (id !== undefined) this.send({ to: from, from: to, re: id, message: Runtime.Refused({ problem }) });
      return undefined;
    }
  }

  #tellOfRoom(): void {
    if (!this.#refused || this.#waitingBytes * 2 > WAITING_BYTES_MAX[this.lane]) return;
    this.#refused = false;
    this.onDrain();
  }

  #mayTake(): boolean {
    if (!this.#open) return false;
    const fits = this.#waitingBytes <= WAITING_BYTES_MAX[this.lane];
    if (!fits) this.#refused = true;
    return fits;
  }

  #queue(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#flushing || this.#blocked) return;
    this.#flushing = true;
    queueMicrotask(this.#flushSoon);
  }

  /** Straight from the caller's memory as far as the socket takes it; the rest is copied, unless the caller gave it away. */
  #sendLarge(head: Uint8Array, body: Uint8Array, isGiven: boolean): void {
    const first = Math.min(body.length, GATHER_BYTES - head.length);
    this.#waiting.push(joined(head, body.subarray(0, first)));
    this.#waitingBytes += head.length + first;
    this.#flush();
    const taken = this.#blocked ? first : first + this.#stream.write(body.subarray(first));
    if (taken === body.length) return;
    this.#blocked = true;
    const rest = body.subarray(taken);
    this.#waiting.push(isGiven ? rest : this.#copied(rest));
    this.#waitingBytes += body.length - taken;
  }

  #flush(): void {
    this.#flushing = false;
    while (this.#waiting.length > 0 && !this.#blocked && this.#open) {
      const next = this.#gathered();
      const taken = this.#stream.write(next);
      this.#waitingBytes -= taken;
      if (taken < next.length) {
        this.#blocked = true;
        this.#waiting.unshift(next.subarray(taken));
      } else this.#keepSpare(next);
    }
  }

  /** The first waiting bytes, joined with the small ones behind. */
  #gathered(): Uint8Array {
    if (this.#waiting.length === 1) return this.#waiting.pop() ?? new Uint8Array(0);
    let count = 0;
    let bytes = 0;
    for (const part of this.#waiting) {
      if (count > 0 && (part.length > SMALL_BYTES || bytes + part.length > GATHER_BYTES)) break;
      bytes += part.length;
      count += 1;
    }
    if (count <= 1) return this.#waiting.shift() ?? new Uint8Array(0);
    return Buffer.concat(this.#waiting.splice(0, count), bytes);
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
    if (buffer !== this.#copy) return;
    this.#copy = undefined;
    const isWorthIt = buffer.byteLength > GATHER_BYTES && buffer.byteLength > this.#spare.length;
    if (isWorthIt && buffer.byteLength <= SPARE_BYTES_MAX) this.#spare = new Uint8Array(buffer);
  }
}

function joined(head: Uint8Array, rest: Uint8Array): Uint8Array {
  const made = new Uint8Array(head.length + rest.length);
  made.set(head);
  made.set(rest, head.length);
  return made;
}

/** Everything of a body's frame but the body. */
function bodyHead(envelope: Envelope, bodyBytes: number): Uint8Array {
  const head = encode(envelope, HEAD_BYTES + 4);
  putHead(head, FrameKind.body, bodyBytes);
  putUint32(head, HEAD_BYTES, head.length - HEAD_BYTES - 4);
  return head;
}

/** The first frame that a node sends on a lane. */
export const helloFrame = (
  hello: Omit<Hello, "capabilities"> & { capabilities: readonly string[] },
): Uint8Array => frame(FrameKind.hello, encodeHello({ ...hello, capabilities: [...hello.capabilities] }));
