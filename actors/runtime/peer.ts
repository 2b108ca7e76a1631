/** One open way to another process: its links, and what is kept of it. */
import type { Envelope } from "#protocol/codec";
import type { Address } from "#protocol/ids";
import { isBulk, isKept, ProtocolError } from "#protocol/message";
import type { Brakes } from "./brakes.ts";
import { BODY_FRAME_BYTES_MAX } from "./transport/framing.ts";
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
  /** Those of its whole node. */
  readonly brakes: Brakes;
  /** Something that was to be handed on cannot be. */
  readonly dropped: (envelope: Envelope) => void;
}

/** Envelopes that wait for one peer after its sources were paused: those that were read already. Beyond it they are lost. */
const HELD_MAX = 4096;
/** The same in bytes: of each source a frame may have been under way, and two sources with the largest are one more than a group has. */
const HELD_BYTES_MAX = 2 * BODY_FRAME_BYTES_MAX;
/** Messages that are kept for one link: of each group few are under way at once. */
const KEPT_MAX = 256;
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
  readonly #brakes: Brakes;
  readonly #dropped: PeerOptions["dropped"];
  /** Actors there that sent or were sent something over the lane for tensors, the last ones at the end. */
  #speakers = new Set<Address>();
  #held: Envelope[] = [];
  #heldBytes = 0;
  #waiting: (() => void)[] = [];
  /** For the link, which was full. Its sources are not paused: among them are links with heartbeats. */
  readonly #kept: Envelope[] = [];

  constructor({ role, node, link, bulk, names, brakes, dropped }: PeerOptions) {
    this.role = role;
    this.node = node;
    this.names = names;
    this.#brakes = brakes;
    this.#dropped = dropped;
    this.#link = link;
    this.#bulk = bulk ?? link;
    for (const way of this.ways) way.onDrain = () => this.#drained(way);
  }

  /** The link, and the lane where that is another. */
  get ways(): readonly Transport[] {
    return this.#link === this.#bulk ? [this.#link] : [this.#link, this.#bulk];
  }

  send(envelope: Envelope, isLent = false): boolean {
    const named = this.#named(envelope);
    if (isForBulk(envelope)) return this.#sendBulk(named, isLent);
    // What is not kept may go ahead of what is; what is kept goes in order.
    const mustWait = this.#kept.length > 0 && isKept(named.message.type);
    return (!mustWait && this.#link.send(named, isLent)) || this.#keep(named);
  }

  /** Something came from an actor there, by one of its ways. */
  heard(from: Address, way: Transport): void {
    if (way === this.#bulk && way !== this.#link) this.#spoke(from);
  }

  /** An actor there is no more. */
  gone(actor: Address): void {
    this.#speakers.delete(actor);
  }

  /** For another process, whose words must not get lost: while it takes no more, `source` is read no further. False: it is dropped. */
  relay(envelope: Envelope, isLent: boolean, source: Transport): boolean {
    const mayWait = isForBulk(envelope);
    if (!mayWait || this.#held.length === 0) {
      const sent = handedOn(this, envelope, isLent);
      if (sent !== "full" || !mayWait) return sent === "taken";
    }
    const bytes = this.#heldBytes + sizeOf(envelope);
    if (this.#held.length >= HELD_MAX || bytes > HELD_BYTES_MAX) return false;
    this.#held.push(isLent ? withOwnBody(envelope) : envelope);
    this.#heldBytes = bytes;
    this.#brakes.hold(source, this);
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
    this.#forget();
    return spoke;
  }

  /** In place of another, whose link was replaced; a lane that both have goes on. */
  follow(before: Peer): void {
    if (before.#bulk === this.#bulk) {
      this.#speakers = before.#speakers;
      this.#held = before.#held.splice(0);
      this.#heldBytes = before.#heldBytes;
      this.#brakes.pass(before, this);
      this.#waiting = before.#waiting.splice(0);
    }
    this.#kept.push(...before.#kept.splice(0));
    this.#sendKept();
    before.end();
  }

  /** Nothing goes there any more; who waited for it goes on. */
  end(): void {
    this.#forget();
    for (const left of this.#kept.splice(0)) this.#dropped(left);
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
    // Each is moved to the end, so that who is forgotten is who was silent for longest.
    this.#speakers.delete(actor);
    this.#speakers.add(actor);
    if (this.#speakers.size <= SPEAKERS_MAX) return;
    for (const oldest of this.#speakers) {
      this.#speakers.delete(oldest);
      return;
    }
  }

  #keep(named: Envelope): boolean {
    if (!isKept(named.message.type) || this.#kept.length >= KEPT_MAX) return false;
    this.#kept.push(named);
    return true;
  }

  #sendKept(): void {
    for (let next = this.#kept[0]; next; next = this.#kept[0]) {
      const sent = handedOn(this.#link, next);
      if (sent === "full") return;
      this.#kept.shift();
      if (sent === "tooLong") this.#dropped(next);
    }
  }

  #drained(way: Transport): void {
    if (way === this.#link) this.#sendKept();
    if (way === this.#bulk) this.#sendHeld();
  }

  #sendHeld(): void {
    for (let next = this.#held[0]; next; next = this.#held[0]) {
      const sent = handedOn(this, next);
      if (sent === "full") return;
      this.#held.shift();
      this.#heldBytes -= sizeOf(next);
      if (sent === "tooLong") this.#dropped(next);
    }
    this.#goOn();
  }

  #forget(): void {
    this.#held = [];
    this.#heldBytes = 0;
    this.#goOn();
  }

  #goOn(): void {
    this.#brakes.release(this);
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** What came within the limits of one link may be over those of the next, whose addresses are longer: not its sender's fault. */
function handedOn(
  to: Pick<Transport, "send">,
  envelope: Envelope,
  isLent = false,
): "taken" | "full" | "tooLong" {
  try {
    return to.send(envelope, isLent) ? "taken" : "full";
  } catch (error) {
    if (error instanceof ProtocolError) return "tooLong";
    throw error;
  }
}

const sizeOf = ({ body }: Envelope): number => body?.length ?? 0;
const isForBulk = ({ message, body }: Envelope): boolean => body !== undefined || isBulk(message.type);

/** With a body that stays as it is, in memory of its own. (What sockets bring are Buffers, whose `slice` is no copy.) */
export const withOwnBody = (envelope: Envelope): Envelope =>
  envelope.body ? { ...envelope, body: new Uint8Array(envelope.body) } : envelope;
