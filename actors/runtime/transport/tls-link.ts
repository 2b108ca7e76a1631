/** One open connection to a peer: frames in both directions, with a bound on what waits. */
import { decode, type Envelope, encode, FRAME_BYTES_MAX } from "#protocol/codec";
import { encodeHello, MINOR_VERSION, MINOR_VERSION_OLDEST } from "#protocol/hello";
import type { NodeId } from "#protocol/ids";
import { ProtocolError } from "#protocol/message";
import { FrameKind, type FrameReader, frame, frameHead } from "./framing.ts";
import type { Endpoint, Lane, Link, Peer } from "./network.ts";

/** The calls of a socket that a link makes; Bun's are these. */
export interface ByteStream {
  /** Bytes that were taken; the rest is offered again after a drain. */
  write(bytes: Uint8Array): number;
  end(): void;
}

/** Above the largest frame: a tensor of a chunk of prefill on data lanes, a part of a file on file lanes. */
const WAITING_BYTES_MAX: Readonly<Record<Lane, number>> = {
  control: 2 * FRAME_BYTES_MAX,
  data: 64 * 1024 * 1024,
  file: 32 * 1024 * 1024,
};
/** A body frame is an envelope, its length, and the body. */
const FRAME_LIMIT: Readonly<Record<Lane, number>> = {
  control: FRAME_BYTES_MAX,
  data: 32 * 1024 * 1024,
  file: FRAME_BYTES_MAX,
};
/** Frames of one turn that are smaller than this together go out as one. */
const GATHER_BYTES = 64 * 1024;

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
  readonly #self: NodeId;
  readonly #stream: ByteStream;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #flushing = false;
  #blocked = false;
  #refused = false;
  #open = true;

  constructor({ self, peer, lane, remote, local, dialled }: LinkFacts, stream: ByteStream) {
    this.#self = self;
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
    if (!this.#mayTake(0)) return false;
    this.#queue(frame(FrameKind.envelope, encode(envelope)));
    return true;
  }

  sendBody(envelope: Envelope, body: Uint8Array): boolean {
    const bytes = encode(envelope);
    const total = bytes.length + body.length;
    if (total + 16 > FRAME_LIMIT[this.lane])
      throw new ProtocolError(
        `${envelope.message.type}: a body of ${body.length} bytes is over the limit of its link`,
      );
    if (!this.#mayTake(total)) return false;
    const head = frameHead(FrameKind.body, total, 4);
    new DataView(head.buffer).setUint32(5, bytes.length);
    this.#queue(head);
    this.#queue(bytes);
    this.#queueBorrowed(body);
    return true;
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
    if (!this.#refused || this.#waitingBytes > 0) return;
    this.#refused = false;
    this.onDrain();
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
    if (kind === FrameKind.envelope) this.onReceive(this.#checked(decode(payload)));
    else if (kind === FrameKind.body) this.#takeBody(payload);
    else throw new ProtocolError(`a frame of kind ${kind} is not known after hello`);
  }

  #takeBody(payload: Uint8Array): void {
    const length =
      payload.length < 4 ? payload.length : new DataView(payload.buffer, payload.byteOffset).getUint32(0);
    if (length > payload.length - 4) throw new ProtocolError("a body frame is shorter than its envelope");
    const envelope = this.#checked(decode(payload.subarray(4, 4 + length)));
    this.onBody(envelope, payload.subarray(4 + length));
  }

  /** Nobody speaks for others: the sender is the connection's. */
  #checked(envelope: Envelope): Envelope {
    if (nodeOf(envelope.from) !== this.peer.node)
      throw new ProtocolError(`${envelope.message.type} names another sender than the link's`);
    if (nodeOf(envelope.to) !== this.#self)
      throw new ProtocolError(`${envelope.message.type} is addressed to another node`);
    return envelope;
  }

  #mayTake(bytes: number): boolean {
    if (!this.#open) return false;
    const fits = this.#waitingBytes === 0 || this.#waitingBytes + bytes < WAITING_BYTES_MAX[this.lane];
    if (!fits) this.#refused = true;
    return fits;
  }

  #queue(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#flushing || this.#blocked) return;
    this.#flushing = true;
    queueMicrotask(() => this.#flush());
  }

  /** The caller may reuse a body at once, so that what the socket does not take is copied. */
  #queueBorrowed(body: Uint8Array): void {
    this.#flush();
    const taken = this.#blocked ? 0 : this.#stream.write(body);
    if (taken === body.length) return;
    this.#blocked = true;
    this.#waiting.push(body.slice(taken));
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
      }
    }
  }

  /** The first waiting bytes, joined with the small ones behind: one system call and one record for all. */
  #gathered(): Uint8Array {
    let count = 0;
    let bytes = 0;
    for (const part of this.#waiting) {
      if (count > 0 && bytes + part.length > GATHER_BYTES) break;
      bytes += part.length;
      count += 1;
    }
    const parts = this.#waiting.splice(0, count);
    return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts, bytes);
  }
}

const nodeOf = (address: string): string => address.slice(0, address.indexOf("/"));

/** The first frame that a node sends on a lane. */
export const helloFrame = (boot: string, capabilities: readonly string[], lane: Lane): Uint8Array =>
  frame(
    FrameKind.hello,
    encodeHello({
      minor: MINOR_VERSION,
      oldest: MINOR_VERSION_OLDEST,
      boot,
      lane,
      capabilities: [...capabilities],
    }),
  );
