/**
 * Links between simulated nodes. A link is a stream, as TLS is: in order and whole, until it breaks; what loss does is delay
 * (the stream's retransmissions). Cuts can be one-way: then nothing arrives that way, and no end of a link is told of it.
 */

import type { Endpoint, Lane, Link, Network, Peer } from "#actors/runtime/transport/network";
import { decode, type Envelope, encode } from "#protocol/codec";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { VirtualTime } from "./time.ts";

export interface Weather {
  /** Part of the packets that need a retransmission. */
  loss: number;
  delayMs: number;
  jitterMs: number;
}

interface Host {
  readonly node: NodeId;
  readonly boot: string;
  readonly network: SimNetwork;
}

const RETRANSMIT_MS = 200;
/** How long a system goes on trying to reach a silent machine. */
const DIAL_MS = 5000;

export class SimulatedWire {
  readonly weather: Weather = { loss: 0, delayMs: 1, jitterMs: 1 };
  readonly time: VirtualTime;
  readonly #random: () => number;
  readonly #hosts = new Map<NodeId, Host>();
  /** `from>to` that nothing passes. */
  readonly #cut = new Set<string>();
  /** Machines whose kernel is gone as well: no refusal, only silence. */
  readonly #dark = new Set<NodeId>();
  readonly #links = new Set<SimLink>();
  readonly #clogged = new Map<string, number>();
  readonly #paused = new Set<NodeId>();
  /** Hears every envelope that is sent: for invariants and the trace. False: it is lost. */
  heard: (from: NodeId, envelope: Envelope) => boolean = () => true;

  constructor(time: VirtualTime, random: () => number) {
    this.time = time;
    this.#random = random;
  }

  attach(node: NodeId, boot: string): SimNetwork {
    const network = new SimNetwork(this, node, boot);
    this.#hosts.set(node, { node, boot, network });
    this.#dark.delete(node);
    return network;
  }

  /** The process is gone: its kernel closes its links and refuses new ones. */
  kill(node: NodeId): void {
    this.#hosts.delete(node);
    for (const link of [...this.#links]) if (link.self === node) link.breakNow("the process ended");
  }

  /** The machine is gone: others hear nothing any more. */
  unplug(node: NodeId): void {
    this.#hosts.delete(node);
    this.#dark.add(node);
    for (const link of [...this.#links]) if (link.self === node) link.forget();
  }

  cut(from: NodeId, to: NodeId): void {
    this.#cut.add(`${from}>${to}`);
  }

  heal(): void {
    this.#cut.clear();
    this.#clogged.clear();
    this.#paused.clear();
  }

  /** Whatever goes from one to the other takes so much longer from now on. */
  clog(from: NodeId, to: NodeId, ms: number): void {
    this.#clogged.set(`${from}>${to}`, ms);
  }

  clogMs(from: NodeId, to: NodeId): number {
    return this.#clogged.get(`${from}>${to}`) ?? 0;
  }

  /** The machine stands still, as in a debugger or asleep: its kernel answers, its process does not. */
  pause(node: NodeId): void {
    this.#paused.add(node);
  }

  resume(node: NodeId): void {
    this.#paused.delete(node);
  }

  isPaused(node: NodeId): boolean {
    return this.#paused.has(node);
  }

  delivers(from: NodeId, to: NodeId): boolean {
    return this.passes(from, to) && !this.#paused.has(to);
  }

  passes(from: NodeId, to: NodeId): boolean {
    return !this.#cut.has(`${from}>${to}`);
  }

  /** Time that a packet needs now, with its retransmissions. */
  delayMs(): number {
    let ms = this.weather.delayMs + this.#random() * this.weather.jitterMs;
    for (let tries = 0; tries < 6 && this.#random() < this.weather.loss; tries++)
      ms += RETRANSMIT_MS * 2 ** tries;
    return ms;
  }

  /** Whether the machine's kernel answers `from`: told after a round trip, or not at all. */
  probe(from: NodeId, to: NodeId): Promise<boolean> {
    const reachable = !this.#dark.has(to) && this.passes(from, to) && this.passes(to, from);
    return new Promise((resolve) =>
      this.time.after(reachable ? 2 * this.delayMs() : 500, () => resolve(reachable)),
    );
  }

  dial(from: NodeId, boot: string, to: NodeId, lane: Lane, signal: AbortSignal): Promise<Link> {
    const { promise, resolve, reject } = Promise.withResolvers<Link>();
    const fail = (ms: number, problem: Problem) => this.time.after(ms, () => reject(problem));
    signal.addEventListener("abort", () => reject(new Problem("cancelled", "dialling was given up")), {
      once: true,
    });
    if (this.#dark.has(to) || !this.passes(from, to) || !this.passes(to, from)) {
      fail(DIAL_MS, new Problem("network", "no answer"));
      return promise;
    }
    this.time.after(2 * this.delayMs(), () => {
      const host = this.#hosts.get(to);
      if (!host) {
        const cause = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
        reject(new Problem("network", "nobody listens", { cause }));
        return;
      }
      if (signal.aborted) return;
      const [near, far] = this.#pair({ node: from, boot }, host, lane);
      host.network.onLink(far);
      resolve(near);
    });
    return promise;
  }

  #pair(from: { node: NodeId; boot: string }, host: Host, lane: Lane): readonly [SimLink, SimLink] {
    const near = new SimLink(this, from.node, peerOf(host), lane, true);
    const far = new SimLink(this, host.node, peerOf(from), lane, false);
    near.other = far;
    far.other = near;
    this.#links.add(near).add(far);
    return [near, far];
  }

  drop(link: SimLink): void {
    this.#links.delete(link);
  }
}

const peerOf = ({ node, boot }: { readonly node: NodeId; readonly boot: string }): Peer => ({
  node,
  boot,
  minor: 0,
  capabilities: [],
});

/** Every node listens on its own name: a host in the simulation is a node's id. */
export const endpointOf = (node: NodeId): Endpoint => ({ host: node, port: 1 });

export class SimNetwork implements Network {
  onLink: (link: Link) => void = () => {};
  readonly endpoints: readonly Endpoint[];
  readonly #wire: SimulatedWire;
  readonly #node: NodeId;
  readonly #boot: string;

  constructor(wire: SimulatedWire, node: NodeId, boot: string) {
    this.#wire = wire;
    this.#node = node;
    this.#boot = boot;
    this.endpoints = [endpointOf(node)];
  }

  dial(to: Endpoint, { lane, signal }: { expect?: NodeId; lane: Lane; signal: AbortSignal }): Promise<Link> {
    return this.#wire.dial(this.#node, this.#boot, to.host as NodeId, lane, signal);
  }

  /** A simulated wire lets everybody in: who belongs is the node's own check. */
  recheck(): void {}

  async close(): Promise<void> {
    this.#wire.kill(this.#node);
  }
}

class SimLink implements Link {
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
  readonly #wire: SimulatedWire;
  #open = true;
  /** A stream does not overtake itself. */
  #lastArrivalMs = 0;
  readonly #coming: { readonly atMs: number; readonly run: () => void }[] = [];

  constructor(wire: SimulatedWire, self: NodeId, peer: Peer, lane: Lane, dialled: boolean) {
    this.#wire = wire;
    this.self = self;
    this.peer = peer;
    this.lane = lane;
    this.dialled = dialled;
    this.remote = endpointOf(peer.node);
  }

  send(envelope: Envelope): boolean {
    if (!this.#open) return false;
    const bytes = encode(envelope);
    if (this.#wire.heard(this.self, envelope)) this.#arrive(() => this.other?.onReceive(decode(bytes)));
    return true;
  }

  sendBody(envelope: Envelope, body: Uint8Array): boolean {
    if (!this.#open) return false;
    const [bytes, copy] = [encode(envelope), body.slice()];
    this.#arrive(() => this.other?.onBody(decode(bytes), copy));
    return true;
  }

  close(): void {
    if (!this.#open) return;
    const { other } = this;
    this.#arrive(() => other?.breakNow("the other side closed"));
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
    this.#wire.drop(this);
  }

  get open(): boolean {
    return this.#open;
  }

  /** Delivers after the wire's delay, in order: what a cut or a pause holds back is tried again until the link ends. */
  #arrive(run: () => void): void {
    const wire = this.#wire;
    const delayMs = wire.delayMs() + wire.clogMs(this.self, this.peer.node);
    const atMs = Math.max(this.#lastArrivalMs, wire.time.nowMs + delayMs);
    this.#lastArrivalMs = atMs;
    this.#coming.push({ atMs, run });
    if (this.#coming.length === 1) this.#pumpAt(atMs);
  }

  #pumpAt(atMs: number): void {
    this.#wire.time.after(atMs - this.#wire.time.nowMs, () => this.#pump());
  }

  #pump(): void {
    const { time } = this.#wire;
    const held = !this.#wire.delivers(this.self, this.peer.node);
    while (!held && this.other?.open && this.#coming[0] && this.#coming[0].atMs <= time.nowMs)
      this.#coming.shift()?.run();
    if (!this.other?.open) this.#coming.length = 0;
    const [next] = this.#coming;
    if (next) this.#pumpAt(held ? time.nowMs + RETRANSMIT_MS : next.atMs);
  }
}
