/**
 * Machines that shout near this one, for people to look at: whoever hears of a stranger says once that it is here as well, so that
 * both see each other within a moment. Nothing here connects anywhere.
 */
import type { Clock } from "#actors/runtime/clock";
import { base32 } from "#actors/runtime/security/identity";
import type { Endpoint } from "#actors/runtime/transport/network";
import { decodePresence, encodePresence, type Presence } from "./datagram.ts";
import type { Datagrams } from "./udp.ts";

/** A machine nearby, and where it was heard from. */
export interface Neighbour extends Presence {
  /** The hash as an id. */
  readonly id: string;
  readonly addresses: readonly string[];
  readonly heardMs: number;
}

export interface NearbyOptions {
  readonly datagrams: Pick<Datagrams, "shout" | "send">;
  readonly clock: Clock;
  /** Where shouting does not reach, and somebody may be. */
  readonly elsewhere: () => readonly Endpoint[];
  /** Whether shouting reaches that address. */
  readonly isNear: (host: string) => boolean;
  /** Another machine shows itself with this one's identity; said once of each address. */
  readonly copied: (host: string) => void;
  readonly namespace: Uint8Array;
  /** This node as it shows itself now. */
  readonly presence: () => Presence;
  readonly changed: () => void;
}

/** A machine that starts is impatient, then quiet. */
const FIRST_SHOUTS_MS = [0, 500, 1000, 2000];
const QUIET_MS = 30_000;
const PAIRING_MS = 1000;
/** Two shouts missed, and a little. */
const FORGET_AFTER_MS = 70_000;
const ANSWER_EVERY_MS = 500;
/** Two machines that answer each other by mistake stay that quiet. */
const ANSWER_ONE_EVERY_MS = 5000;
const NEIGHBOURS_MAX = 64;
const ADDRESSES_MAX = 8;

export class Nearby {
  readonly #options: NearbyOptions;
  readonly #neighbours = new Map<string, Neighbour>();
  readonly #cancels = new Set<() => void>();
  #isRepeating = false;
  readonly #answered = new Map<string, number>();
  readonly #copies = new Set<string>();
  #answeredMs = Number.NEGATIVE_INFINITY;

  constructor(options: NearbyOptions) {
    this.#options = options;
  }

  start(): void {
    for (const ms of FIRST_SHOUTS_MS) this.#later(ms, () => this.#shout());
    this.#later(QUIET_MS, () => this.#repeat());
  }

  /** Says goodbye, so that others need not wait to forget this node. */
  stop(): void {
    for (const cancel of this.#cancels) cancel();
    this.#cancels.clear();
    this.#say({ ...this.#options.presence(), port: 0 });
  }

  /** Something about this node changed that others should see soon: an invite, a name. */
  announce(): void {
    this.#shout();
    this.#announceWhilePairing();
  }

  get neighbours(): readonly Neighbour[] {
    this.#forget();
    return [...this.#neighbours.values()];
  }

  /** A datagram came in; anything but a presence of this namespace is passed over. */
  receive(bytes: Uint8Array, from: Endpoint): void {
    const presence = decodePresence(bytes, this.#options.namespace);
    if (!presence) return;
    const own = this.#options.presence();
    if (Buffer.compare(presence.node, own.node) === 0) {
      // This node hears itself; another boot with a port is another process.
      if (presence.port > 0 && Buffer.compare(presence.boot, own.boot) !== 0) this.#tellCopied(from.host);
      return;
    }
    const id = base32(presence.node);
    const known = this.#neighbours.get(id);
    if (presence.port === 0) {
      this.#leave(id, known, presence);
      return;
    }
    this.#note(id, known, presence, from);
    if (!this.#options.isNear(from.host)) this.#answerOne(id, from);
  }

  #tellCopied(host: string): void {
    if (this.#copies.has(host) || this.#copies.size >= ADDRESSES_MAX) return;
    this.#copies.add(host);
    this.#options.copied(host);
  }

  /** Who came from elsewhere hears no shouts: it is answered, by as many bytes as it sent. */
  #answerOne(id: string, from: Endpoint): void {
    const nowMs = this.#options.clock.nowMs();
    const { elsewhere, datagrams, presence, namespace } = this.#options;
    if (elsewhere().some(({ host }) => host === from.host)) return; // It is spoken to anyway.
    if (nowMs - (this.#answered.get(id) ?? Number.NEGATIVE_INFINITY) < ANSWER_ONE_EVERY_MS) return;
    if (this.#answered.size >= NEIGHBOURS_MAX) this.#answered.clear();
    this.#answered.set(id, nowMs);
    datagrams.send(encodePresence(presence(), namespace), from);
  }

  #leave(id: string, known: Neighbour | undefined, { boot }: Presence): void {
    if (!known || Buffer.compare(known.boot, boot) !== 0) return;
    this.#neighbours.delete(id);
    this.#options.changed();
  }

  #note(id: string, known: Neighbour | undefined, presence: Presence, { host }: Endpoint): void {
    if (!known) this.#forget();
    if (!known && this.#neighbours.size >= NEIGHBOURS_MAX) return;
    const sameBoot = known && Buffer.compare(known.boot, presence.boot) === 0;
    const before = sameBoot ? known.addresses : [];
    const addresses = before.includes(host) ? before : [...before, host].slice(-ADDRESSES_MAX);
    this.#neighbours.set(id, { ...presence, id, addresses, heardMs: this.#options.clock.nowMs() });
    if (!sameBoot) this.#answer();
    const same =
      sameBoot &&
      addresses === before &&
      known.pairingPort === presence.pairingPort &&
      known.inviting === presence.inviting &&
      known.name === presence.name;
    if (!same) this.#options.changed();
  }

  /** The newcomer has not heard this node yet. */
  #answer(): void {
    const nowMs = this.#options.clock.nowMs();
    if (nowMs - this.#answeredMs < ANSWER_EVERY_MS) return;
    this.#answeredMs = nowMs;
    this.#shout();
  }

  #forget(): void {
    const before = this.#options.clock.nowMs() - FORGET_AFTER_MS;
    for (const [id, { heardMs }] of this.#neighbours) if (heardMs < before) this.#neighbours.delete(id);
  }

  #repeat(): void {
    this.#shout();
    this.#later(QUIET_MS, () => this.#repeat());
  }

  /** However often something is announced meanwhile: a home with a secret has its door open for good. */
  #announceWhilePairing(): void {
    if (this.#isRepeating || this.#options.presence().pairingPort === 0) return;
    this.#isRepeating = true;
    this.#later(PAIRING_MS, () => {
      this.#isRepeating = false;
      if (this.#options.presence().pairingPort > 0) this.announce();
    });
  }

  #shout(): void {
    this.#say(this.#options.presence());
  }

  #say(presence: Presence): void {
    const { datagrams, namespace, elsewhere } = this.#options;
    const bytes = encodePresence(presence, namespace);
    datagrams.shout(bytes);
    for (const place of elsewhere()) datagrams.send(bytes, place);
  }

  #later(ms: number, run: () => void): void {
    const cancel = this.#options.clock.after(ms, () => {
      this.#cancels.delete(cancel);
      run();
    });
    this.#cancels.add(cancel);
  }
}
