/** One open way to another process: its links, and what is kept of it. */
import type { Envelope } from "#protocol/codec";
import type { Address } from "#protocol/ids";
import { isBulk } from "#protocol/message";
import type { Transport } from "./transport/transport.ts";

export interface PeerOptions {
  /** As whom it speaks: a node for all of its actors, a child for itself alone, a parent for everybody else. */
  readonly role: "node" | "child" | "parent";
  readonly node: string;
  readonly link: Transport;
  /** For what is bulk; absent: the link too. */
  readonly bulk?: Transport | undefined;
  /** Of a child's one actor: for everybody else, and in its own process. */
  readonly names?: { readonly outside: Address; readonly inside: Address };
}

/** Envelopes that wait for one peer after its sources were paused: those that were read already. Beyond it they are lost. */
const HELD_MAX = 4096;
/** Actors that spoke over one lane, of which those that watch them are told when it breaks. */
const SPEAKERS_MAX = 1024;

export class Peer {
  readonly node: string;
  readonly role: PeerOptions["role"];
  readonly names: PeerOptions["names"];
  /** Their watches on actors of this node: their number, and how to take it back. */
  readonly watches = new Map<number, () => void>();
  readonly #link: Transport;
  readonly #bulk: Transport;
  /** Actors there that sent or were sent something over the lane for tensors. */
  #speakers = new Set<Address>();
  #held: Envelope[] = [];
  readonly #paused = new Set<Transport>();
  #waiting: (() => void)[] = [];

  constructor({ role, node, link, bulk, names }: PeerOptions) {
    this.role = role;
    this.node = node;
    this.names = names;
    this.#link = link;
    this.#bulk = bulk ?? link;
    this.#bulk.onDrain = () => this.#drained();
  }

  /** The link, and the lane where that is another. */
  get ways(): readonly Transport[] {
    return this.#link === this.#bulk ? [this.#link] : [this.#link, this.#bulk];
  }

  send(envelope: Envelope, isLent = false): boolean {
    const named = this.#named(envelope);
    return isForBulk(envelope) ? this.#sendBulk(named, isLent) : this.#link.send(named, isLent);
  }

  /** Something came from an actor there, by one of its ways. */
  heard(from: Address, way: Transport): void {
    if (way === this.#bulk && way !== this.#link) this.#spoke(from);
  }

  /** For another process, whose words must not get lost: while it takes no more, `source` is read no further. False: it was dropped. */
  relay(envelope: Envelope, isLent: boolean, source: Transport): boolean {
    if (!isForBulk(envelope)) return this.send(envelope, isLent);
    if (this.#held.length === 0 && this.send(envelope, isLent)) return true;
    if (this.#held.length >= HELD_MAX) return false;
    const named = this.#named(envelope);
    this.#held.push(isLent ? withOwnBody(named) : named);
    if (this.#paused.has(source)) return true;
    this.#paused.add(source);
    source.pause?.();
    return true;
  }

  /** Resolves when it takes more of what is bulk, after it refused. */
  room(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** What was said by the lane may be lost, and what waits for it is nothing without that. The actors that spoke by it. */
  laneBroke(): ReadonlySet<Address> {
    const spoke = this.#speakers;
    this.#speakers = new Set();
    this.#held = [];
    this.#goOn();
    return spoke;
  }

  /** In place of another, whose link was replaced; a lane that both have goes on. */
  follow(before: Peer): void {
    if (before.#bulk === this.#bulk) {
      this.#speakers = before.#speakers;
      this.#held = before.#held.splice(0);
      for (const source of before.#paused) this.#paused.add(source);
      before.#paused.clear();
      this.#waiting = before.#waiting.splice(0);
    }
    before.end();
  }

  /** Nothing goes there any more; who waited for it goes on. */
  end(): void {
    this.#held = [];
    this.#goOn();
    for (const unwatch of this.watches.values()) unwatch();
    this.watches.clear();
  }

  #named(envelope: Envelope): Envelope {
    return envelope.to === this.names?.outside ? { ...envelope, to: this.names.inside } : envelope;
  }

  #sendBulk(envelope: Envelope, isLent: boolean): boolean {
    if (this.#bulk !== this.#link) this.#spoke(envelope.to);
    return this.#bulk.send(envelope, isLent);
  }

  #spoke(actor: Address): void {
    if (this.#speakers.size < SPEAKERS_MAX) this.#speakers.add(actor);
  }

  #drained(): void {
    for (let next = this.#held[0]; next; next = this.#held[0]) {
      if (!this.#bulk.send(next)) return;
      this.#held.shift();
    }
    this.#goOn();
  }

  #goOn(): void {
    for (const source of this.#paused) source.resume?.();
    this.#paused.clear();
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

const isForBulk = ({ message, body }: Envelope): boolean => body !== undefined || isBulk(message.type);

/** With a body that stays as it is, in memory of its own. (What sockets bring are Buffers, whose `slice` is no copy.) */
export const withOwnBody = (envelope: Envelope): Envelope =>
  envelope.body ? { ...envelope, body: new Uint8Array(envelope.body) } : envelope;
