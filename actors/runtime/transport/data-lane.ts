/**
 * The lane for tensors to one node: dialled when it is first used, kept while it lasts, and dialled again for what is sent after it
 * broke. A link that the other node has dialled for the same is used as well, so that two that speak in turns have one.
 */

import type { Envelope } from "#protocol/codec";
import { ProtocolError } from "#protocol/message";
import { Problem } from "#protocol/problem";
import type { Clock } from "../clock.ts";
import { crashOf } from "../part.ts";
import { withOwnBody } from "../peer.ts";
import type { Link } from "./network.ts";
import type { Transport } from "./transport.ts";

export interface DataLanePorts {
  /** What the node is called in what is told of it. */
  readonly name: string;
  readonly clock: Clock;
  /** Rejects with a Problem. */
  readonly dial: (signal: AbortSignal) => Promise<Link>;
  /** Why something that came may not go in; its link is closed then. */
  readonly refusal: (envelope: Envelope) => string | undefined;
  /** Whether something that came is passed over: what may go in, but is for nobody here now. */
  readonly isStray: (envelope: Envelope) => boolean;
}

/** What is sent while it is dialled: while more waits, no more is taken. */
const QUEUED_BYTES_MAX = 4 * 1024 * 1024;
const QUEUED_MAX = 1024;
/** Waits before each try: at once, then for a listener that restarts or is overrun. */
const TRIES_MS: readonly number[] = [0, 100, 400];
const DIAL_MS = 2000;
/** Each node dials one when both begin at once; beyond them an older one is closed, as only who misbehaves has more. */
const LINKS_MAX = 2;

export class DataLane implements Transport {
  onReceive: (envelope: Envelope, isLent?: boolean) => void = () => {};
  /** Called each time that something said in either direction may be lost, with why. */
  onClose: (reason: string) => void = () => {};
  onDrain: () => void = () => {};
  readonly #ports: DataLanePorts;
  readonly #links = new Set<Link>();
  /** The one of them by which everything is sent, so that it stays in order. */
  #link: Link | undefined;
  #queued: Envelope[] = [];
  #queuedBytes = 0;
  #refused = false;
  #paused = false;
  #closed = false;
  /** Gives up the dial, or the wait for the next one, that is under way. */
  #stopDial: (() => void) | undefined;

  constructor(ports: DataLanePorts) {
    this.#ports = ports;
  }

  send(envelope: Envelope, isLent = false): boolean {
    if (this.#closed) return false;
    const link = this.#queued.length === 0 ? this.#link : undefined;
    const isTaken = link ? put(link, envelope, isLent) : this.#queue(envelope, isLent);
    if (!isTaken) this.#refused = true;
    if (!this.#link && !this.#stopDial) this.#dial(0, "");
    return isTaken;
  }

  /** A link for this that the other node has dialled; what came with it before is handed on by the caller. */
  accept(link: Link): void {
    if (this.#closed) link.close();
    else this.#use(link);
  }

  pause(): void {
    this.#paused = true;
    for (const link of this.#links) link.pause();
  }

  resume(): void {
    this.#paused = false;
    for (const link of this.#links) link.resume();
  }

  /** Ends it for good, and says nothing: who closes knows. */
  close(): void {
    this.#closed = true;
    this.#stopDial?.();
    this.#drop();
    this.#link = undefined;
    for (const link of this.#links) link.close();
    this.#links.clear();
  }

  #queue(envelope: Envelope, isLent: boolean): boolean {
    if (this.#queuedBytes > QUEUED_BYTES_MAX || this.#queued.length >= QUEUED_MAX) return false;
    this.#queued.push(isLent ? withOwnBody(envelope) : envelope);
    this.#queuedBytes += envelope.body?.length ?? 0;
    return true;
  }

  #drop(): void {
    this.#queued = [];
    this.#queuedBytes = 0;
    this.#refused = false;
  }

  #dial(tried: number, why: string): void {
    const { clock, name } = this.#ports;
    const waitMs = TRIES_MS[tried];
    if (waitMs === undefined) {
      this.#stopDial = undefined;
      this.#drop();
      this.onClose(`no link for tensors to ${name}: ${why}`);
    } else if (waitMs === 0) this.#try(tried);
    else this.#stopDial = clock.after(waitMs, () => this.#try(tried));
  }

  #try(tried: number): void {
    const { clock, dial } = this.#ports;
    const attempt = new AbortController();
    const cancel = clock.after(DIAL_MS, () => attempt.abort());
    let isStopped = false;
    this.#stopDial = () => {
      isStopped = true;
      cancel();
      attempt.abort();
    };
    const dialled = (link: Link) => {
      cancel();
      if (isStopped) link.close();
      else this.#use(link);
    };
    const failed = (error: unknown) => {
      cancel();
      if (!(error instanceof Problem)) throw error;
      if (!isStopped) this.#dial(tried + 1, error.message);
    };
    void dial(attempt.signal).then(dialled, failed).catch(crashOf(clock));
  }

  #use(link: Link): void {
    this.#links.add(link);
    link.onReceive = (envelope) => this.#take(link, envelope, false);
    link.onBody = (envelope, body) => this.#take(link, { ...envelope, body }, true);
    link.onClose = (why) => this.#gone(link, why);
    link.onDrain = () => this.#flush();
    if (this.#paused) link.pause();
    for (const old of this.#links)
      if (this.#links.size > LINKS_MAX && old !== this.#link) this.#end(old, "newer ones are open");
    if (this.#link) return;
    this.#link = link;
    this.#stopDial?.();
    this.#stopDial = undefined;
    this.#flush();
  }

  #take(link: Link, envelope: Envelope, isLent: boolean): void {
    const why = this.#ports.refusal(envelope);
    if (why === undefined) {
      if (!this.#ports.isStray(envelope)) this.onReceive(envelope, isLent);
      return;
    }
    this.#end(link, why);
  }

  #end(link: Link, why: string): void {
    link.close();
    this.#gone(link, why);
  }

  #flush(): void {
    const link = this.#link;
    if (!link) return;
    for (let next = this.#queued[0]; next; next = this.#queued[0]) {
      if (!this.#handOver(link, next)) return;
      this.#queued.shift();
      this.#queuedBytes -= next.body?.length ?? 0;
    }
    if (!this.#refused) return;
    this.#refused = false;
    this.onDrain();
  }

  /** What waited may be longer than a link takes: it is lost then, and nothing else is. */
  #handOver(link: Link, envelope: Envelope): boolean {
    try {
      return put(link, envelope, false);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.onClose(`something for ${this.#ports.name} was lost: ${error.message}`);
      return true;
    }
  }

  /** What it has not sent is nothing without what was lost. */
  #gone(link: Link, why: string): void {
    if (!this.#links.delete(link)) return;
    if (this.#link === link) {
      this.#link = undefined;
      this.#drop();
    }
    this.onClose(`the link for tensors to ${this.#ports.name} broke: ${why}`);
  }
}

const put = (link: Link, envelope: Envelope, isLent: boolean): boolean =>
  envelope.body ? link.sendBody(envelope, envelope.body, !isLent) : link.send(envelope);
