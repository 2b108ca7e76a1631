/** One end of a simulated link: what is sent goes through the real codec, and arrives in order after the wire's delay. */
import { FrameReader } from "#actors/runtime/transport/framing";
import type { Endpoint, Lane, Link, Peer } from "#actors/runtime/transport/network";
import { StreamLink } from "#actors/runtime/transport/tls-link";
import { decode, type Envelope, encode, FRAME_BYTES_MAX } from "#protocol/codec";
import type { NodeId } from "#protocol/ids";
import { ProtocolError } from "#protocol/message";
import type { Site, Way } from "./network.ts";
import type { VirtualTime } from "./time.ts";

export interface LinkWorld {
  readonly time: VirtualTime;
  /** Something is sent; false: it is lost. */
  heard(from: NodeId, envelope: Envelope): boolean;
  /** Something arrived, and is about to be acted on. */
  taken(by: NodeId, from: NodeId, envelope: Envelope): void;
  delayMs(): number;
  drop(link: SimLink): void;
}

/** What arrives at `atMs`: a frame, or with `close` the end of the link. */
interface Coming {
  readonly atMs: number;
  readonly envelope?: Envelope;
  readonly frame?: Uint8Array;
  readonly body?: Uint8Array;
  readonly close?: true;
}

interface Recoded {
  readonly sent: Envelope;
  readonly received: Envelope;
}

export const RETRANSMIT_MS = 200;

export class SimLink implements Link {
  onReceive: (envelope: Envelope) => void = () => {};
  onBody: (envelope: Envelope, body: Uint8Array) => void = () => {};
  onClose: (reason: string) => void = () => {};
  onDrain: () => void = () => {};
  readonly self: NodeId;
  readonly peer: Peer;
  readonly lane: Lane;
  readonly dialled: boolean;
  readonly remote: Endpoint;
  readonly waitingBytes = 0;
  other: SimLink | undefined;
  readonly #world: LinkWorld;
  readonly #way: Way;
  /** Of the machine at the other end. */
  readonly #there: Site;
  readonly #newer: boolean;
  #open = true;
  /** A stream does not overtake itself. */
  #lastArrivalMs = 0;
  #coming: Coming[] = [];
  #reader: FrameReader | undefined;
  /** By type, messages without a field that went through the codec once: the same bytes mean the same each time. */
  readonly #bare = new Map<string, Recoded>();
  #last: Recoded | undefined;

  constructor(
    world: LinkWorld,
    ends: {
      readonly self: NodeId;
      readonly peer: Peer;
      readonly remote: Endpoint;
      readonly way: Way;
      readonly there: Site;
      readonly newer: boolean;
    },
    lane: Lane,
    dialled: boolean,
  ) {
    this.#world = world;
    this.self = ends.self;
    this.peer = ends.peer;
    this.#way = ends.way;
    this.#there = ends.there;
    this.#newer = ends.newer;
    this.lane = lane;
    this.dialled = dialled;
    this.remote = ends.remote;
  }

  send(envelope: Envelope): boolean {
    if (!this.#open) return false;
    if (this.#world.heard(this.self, envelope))
      this.#arrive({ atMs: this.#arrivalMs(), envelope: this.#recoded(envelope) });
    return true;
  }

  sendBody(envelope: Envelope, body: Uint8Array): boolean {
    if (!this.#open) return false;
    this.#arrive({ atMs: this.#arrivalMs(), envelope: decode(encode(envelope)), body: body.slice() });
    return true;
  }

  /** Bytes of a stream as a hostile member sends them: they meet the decoder on arrival. */
  sendFrame(frame: Uint8Array): void {
    if (this.#open) this.#arrive({ atMs: this.#arrivalMs(), frame });
  }

  /** What is sent and not yet taken. */
  get coming(): number {
    return this.#coming.length;
  }

  close(): void {
    if (!this.#open) return;
    this.#arrive({ atMs: this.#arrivalMs(), close: true });
    this.forget();
  }

  /** Ends here, and the other side hears of it if anything passes. */
  breakNow(reason: string): void {
    if (!this.#open) return;
    this.close();
    this.onClose(reason);
  }

  pause(): void {}
  resume(): void {}

  forget(): void {
    this.#open = false;
    this.#world.drop(this);
  }

  get open(): boolean {
    return this.#open;
  }

  #recoded(envelope: Envelope): Envelope {
    const { message, id, re, to, from } = envelope;
    if (
      message === this.#last?.sent.message &&
      to === this.#last.sent.to &&
      id === undefined &&
      re === undefined
    )
      return this.#last.received;
    for (const field in message) if (field !== "type") return this.#through(envelope);
    if (id !== undefined || re !== undefined) return this.#through(envelope);
    const known = this.#bare.get(message.type);
    if (known !== undefined && known.sent.to === to && known.sent.from === from) return known.received;
    const received = this.#through(envelope);
    this.#last = { sent: envelope, received };
    this.#bare.set(message.type, this.#last);
    return received;
  }

  /** A node of a newer version says more than is asked for here. */
  #through(envelope: Envelope): Envelope {
    if (!this.#newer) return decode(encode(envelope));
    const message = { ...envelope.message, sinceNextVersion: [1, { more: "to come" }] };
    return decode(encode({ ...envelope, message }));
  }

  #arrivalMs(): number {
    const atMs = this.#world.time.nowMs + this.#world.delayMs() + this.#way.clogMs;
    if (atMs > this.#lastArrivalMs) this.#lastArrivalMs = atMs;
    return this.#lastArrivalMs;
  }

  /** Delivers after the wire's delay, in order: what a cut or a pause holds back is tried again until the link ends. */
  #arrive(coming: Coming): void {
    if (this.#coming.push(coming) === 1) this.#pumpAt(coming.atMs);
  }

  #pumpAt(atMs: number): void {
    const { time } = this.#world;
    time.after(atMs - time.nowMs, this.#pump);
  }

  readonly #pump = (): void => {
    const { time } = this.#world;
    const { other } = this;
    const held = this.#way.cut || this.#there.paused;
    if (!held)
      while (other?.open) {
        const next = this.#coming[0];
        if (!next || next.atMs > time.nowMs) break;
        this.#coming.shift();
        other.#take(next);
      }
    if (!other?.open) {
      this.#nobodyThere(held);
      return;
    }
    const next = this.#coming[0];
    if (next) this.#pumpAt(held ? time.nowMs + RETRANSMIT_MS : next.atMs);
  };

  /** The kernel of a process that ended answers what comes for it with a reset. */
  #nobodyThere(held: boolean): void {
    this.#coming = [];
    const { time } = this.#world;
    if (!held && !this.#there.dark)
      time.after(this.#world.delayMs(), () => this.breakNow("the connection was reset"));
  }

  #take({ envelope, frame, body, close }: Coming): void {
    if (close) this.breakNow("the other side closed");
    else if (envelope && body) this.onBody(envelope, body);
    else if (envelope) this.#takeEnvelope(envelope);
    else if (frame) this.#takeFrame(frame);
  }

  #takeEnvelope(envelope: Envelope): void {
    this.#world.taken(this.self, this.peer.node, envelope);
    this.onReceive(envelope);
  }

  /** Through the reader and the checks of a TLS link: whoever sends what cannot be understood is cut off. */
  #takeFrame(frame: Uint8Array): void {
    try {
      this.#reader ??= this.#read();
      this.#reader.push(frame);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.breakNow(error.message);
    }
  }

  #read(): FrameReader {
    const { self, peer, lane, remote, dialled } = this;
    const stream = { write: (bytes: Uint8Array) => bytes.length, end() {}, pause() {}, resume() {} };
    const link = new StreamLink({ self, peer, lane, remote, local: remote.host, dialled }, stream);
    const reader = new FrameReader(FRAME_BYTES_MAX, () => {});
    link.onReceive = (envelope) => this.#takeEnvelope(envelope);
    link.readFrom(reader);
    return reader;
  }
}
