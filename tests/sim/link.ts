/** One end of a simulated link: what is sent goes through the real codec, and arrives in order after the wire's delay. */
import type { Endpoint, Lane, Link, Peer } from "#actors/runtime/transport/network";
import { decode, type Envelope, encode } from "#protocol/codec";
import type { NodeId } from "#protocol/ids";
import { ProtocolError } from "#protocol/message";
import type { Site, Way } from "./network.ts";
import type { VirtualTime } from "./time.ts";

export interface LinkWorld {
  readonly time: VirtualTime;
  heard(from: NodeId, envelope: Envelope): boolean;
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
  #open = true;
  /** A stream does not overtake itself. */
  #lastArrivalMs = 0;
  #coming: Coming[] = [];
  /** By type, messages without a field that went through the codec once: the same bytes mean the same each time. */
  readonly #bare = new Map<string, { readonly sent: Envelope; readonly received: Envelope }>();

  constructor(
    world: LinkWorld,
    ends: {
      readonly self: NodeId;
      readonly peer: Peer;
      readonly remote: Endpoint;
      readonly way: Way;
      readonly there: Site;
    },
    lane: Lane,
    dialled: boolean,
  ) {
    this.#world = world;
    this.self = ends.self;
    this.peer = ends.peer;
    this.#way = ends.way;
    this.#there = ends.there;
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

  /** Bytes as a hostile member sends them: they meet the decoder on arrival. */
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
    for (const field in message) if (field !== "type") return decode(encode(envelope));
    if (id !== undefined || re !== undefined) return decode(encode(envelope));
    const known = this.#bare.get(message.type);
    if (known !== undefined && known.sent.to === to && known.sent.from === from) return known.received;
    const received = decode(encode(envelope));
    this.#bare.set(message.type, { sent: envelope, received });
    return received;
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
        const [next] = this.#coming;
        if (!next || next.atMs > time.nowMs) break;
        this.#coming.shift();
        other.#take(next);
      }
    if (!other?.open) {
      this.#coming = [];
      return;
    }
    const [next] = this.#coming;
    if (next) this.#pumpAt(held ? time.nowMs + RETRANSMIT_MS : next.atMs);
  };

  #take({ envelope, frame, body, close }: Coming): void {
    if (close) this.breakNow("the other side closed");
    else if (envelope && body) this.onBody(envelope, body);
    else if (envelope) this.onReceive(envelope);
    else if (frame) this.#takeFrame(frame);
  }

  /** As the TLS link does: whoever sends what cannot be understood is cut off. */
  #takeFrame(frame: Uint8Array): void {
    let envelope: Envelope;
    try {
      envelope = decode(frame);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.breakNow("it sent what is no frame");
      return;
    }
    this.onReceive(envelope);
  }
}
