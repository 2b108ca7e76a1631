/** One open connection to a peer: frames in both directions, with a bound on what waits. */
import { decode, type Envelope, FRAME_BYTES_MAX, UnknownMessage } from "#protocol/codec";
import { encodeHello, type Hello } from "#protocol/hello";
import type { NodeId } from "#protocol/ids";
import { ProtocolError } from "#protocol/message";
import { Runtime } from "#protocol/runtime";
import {
  BODY_FRAME_BYTES_MAX,
  FrameKind,
  type FrameReader,
  frame,
  partsOfBody,
  type TakeFrame,
} from "./framing.ts";
import { LinkNames } from "./link-names.ts";
import type { Endpoint, Lane, Link, Peer } from "./network.ts";
import { type ByteStream, Outgoing } from "./outgoing.ts";

/** While more than this waits, nothing is taken: enough to keep a socket busy, little enough that a slow receiver costs its sender nothing. */
const WAITING_BYTES_MAX: Readonly<Record<Lane, number>> = {
  control: 2 * FRAME_BYTES_MAX,
  data: 1024 * 1024,
  file: 1024 * 1024,
};
/** A body is a tensor on data lanes, a part of a file on file lanes. */
const FRAME_LIMIT: Readonly<Record<Lane, number>> = {
  control: FRAME_BYTES_MAX,
  data: BODY_FRAME_BYTES_MAX,
  file: FRAME_BYTES_MAX,
};
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
  readonly #outgoing: Outgoing;
  #refused = false;
  #open = true;

  constructor({ self, peer, lane, remote, local, dialled }: LinkFacts, stream: ByteStream) {
    this.#names = new LinkNames(self, peer.node);
    this.peer = peer;
    this.lane = lane;
    this.remote = remote;
    this.local = local;
    this.dialled = dialled;
    this.#stream = stream;
    this.#outgoing = new Outgoing(stream, () => this.#tellOfRoom());
  }

  get waitingBytes(): number {
    return this.#outgoing.waitingBytes;
  }

  send(envelope: Envelope, isLent = false): boolean {
    if (envelope.body) return this.sendBody(envelope, envelope.body, !isLent);
    if (!this.#mayTake()) return false;
    if (envelope.message.type === this.#names.beat.message.type) this.#outgoing.addBeat();
    else this.#outgoing.add(this.#names.shortened(envelope));
    return true;
  }

  sendBody(envelope: Envelope, body: Uint8Array, isGiven = false): boolean {
    if (!this.#mayTake()) return false;
    this.#outgoing.addBody(this.#names.shortened(envelope), body, isGiven, FRAME_LIMIT[this.lane]);
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
    this.#outgoing.flush();
    this.#outgoing.close();
    this.#open = false;
    this.#stream.end();
  }

  /** Takes over what follows a peer's hello. */
  readFrom(reader: FrameReader): void {
    reader.limit = FRAME_LIMIT[this.lane];
    reader.onFrame = this.#take;
  }

  /** The socket takes more. */
  drained(): void {
    this.#outgoing.drained();
    this.#tellOfRoom();
  }

  /** The socket is closed; said once. */
  closed(reason: string): void {
    this.#outgoing.close();
    this.#open = false;
    this.onClose(reason);
    this.onClose = () => {};
  }

  readonly #take: TakeFrame = (kind, bytes, from, to) => {
    if (!this.#open) return;
    if (kind === FrameKind.envelope) {
      const envelope = this.#read(bytes, from, to);
      if (envelope) this.onReceive(envelope);
    } else if (kind === FrameKind.body) this.#takeBody(bytes, from, to);
    else if (kind === FrameKind.beat) this.onReceive(this.#names.beat);
    else throw new ProtocolError(`a frame of kind ${kind} is not known after hello`);
  };

  #takeBody(bytes: Uint8Array, from: number, to: number): void {
    const [head, body] = partsOfBody(bytes, { from, to });
    const envelope = this.#read(bytes, head.from, head.to);
    if (envelope) this.onBody(envelope, bytes.subarray(body.from, body.to));
  }

  /** Nothing for a message that is not known here: of a newer version, whose question is refused by name. */
  #read(bytes: Uint8Array, from: number, to: number): Envelope | undefined {
    try {
      return this.#names.checked(decode(bytes, from, to));
    } catch (error) {
      if (!(error instanceof UnknownMessage)) throw error;
      const { id, from: asker, to: asked } = this.#names.checked(error.envelope);
      const problem = { kind: "invalid" as const, message: `${this.#names.self}: ${error.message}` };
      if (id !== undefined)
        this.send({ to: asker, from: asked, re: id, message: Runtime.Refused({ problem }) });
      return undefined;
    }
  }

  #tellOfRoom(): void {
    if (!this.#refused || this.#outgoing.waitingBytes * 2 > WAITING_BYTES_MAX[this.lane]) return;
    this.#refused = false;
    this.onDrain();
  }

  #mayTake(): boolean {
    if (!this.#open) return false;
    const fits = this.#outgoing.waitingBytes <= WAITING_BYTES_MAX[this.lane];
    if (!fits) this.#refused = true;
    return fits;
  }
}

/** The first frame that a node sends on a lane. */
export const helloFrame = (
  hello: Omit<Hello, "capabilities"> & { capabilities: readonly string[] },
): Uint8Array => frame(FrameKind.hello, encodeHello({ ...hello, capabilities: [...hello.capabilities] }));
