/**
 * Links between simulated nodes. A link is a stream, as TLS is: in order and whole, until it breaks; what loss does is delay
 * (the stream's retransmissions). Cuts can be one-way: then nothing arrives that way, and no end of a link is told of it.
 */

import {
  ANOTHER,
  type Endpoint,
  type Lane,
  type Link,
  type Network,
  type Peer,
} from "#actors/runtime/transport/network";
import type { Trust } from "#actors/runtime/transport/trust";
import type { Envelope } from "#protocol/codec";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import { RETRANSMIT_MS, SimLink } from "./link.ts";
import { refusalOf, refuse } from "./papers.ts";
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
  /** Absent: it lets everybody in. */
  readonly trust?: Trust;
}

/** What one machine does to all that goes there: shared by the links that end at it. */
export interface Site {
  /** It stands still, as in a debugger or asleep: its kernel answers, its process does not. */
  paused: boolean;
  /** Its kernel is gone as well: no refusal, only silence. */
  dark: boolean;
  /** What came due while it stood still, in order. */
  readonly due: (() => void)[];
}

/** From one machine to another, whatever links there are. */
export interface Way {
  /** Nothing passes. */
  cut: boolean;
  /** Whatever goes there takes so much longer. */
  clogMs: number;
}

interface Caller {
  readonly node: NodeId;
  readonly boot: string;
}

type DialOptions = Parameters<Network["dial"]>[1];

/** How long a system goes on trying to reach a silent machine. */
const DIAL_MS = 5000;
/** Until a system that nobody answers asks a second time, then after twice as long (RFC 6298). */
const SYN_AGAIN_MS = 1000;

export class SimulatedWire {
  readonly weather: Weather = { loss: 0, delayMs: 1, jitterMs: 1 };
  readonly time: VirtualTime;
  readonly #random: () => number;
  readonly #hosts = new Map<NodeId, Host>();
  readonly #sites = new Map<NodeId, Site>();
  readonly #ways = new Map<NodeId, Map<NodeId, Way>>();
  readonly #links = new Set<SimLink>();
  /** Machines of the next version. */
  readonly newer = new Set<NodeId>();
  /** Hears every envelope that is sent: for invariants and the trace. False: it is lost. */
  heard: (from: NodeId, envelope: Envelope) => boolean = () => true;
  /** Hears every envelope that arrives, before it is acted on. */
  taken: (by: NodeId, from: NodeId, envelope: Envelope) => void = () => {};

  constructor(time: VirtualTime, random: () => number) {
    this.time = time;
    this.#random = random;
  }

  /** `trust`: whom the node lets in, and by what; absent: everybody. */
  attach(node: NodeId, boot: string, trust?: Trust): SimNetwork {
    const network = new SimNetwork(this, node, boot, (other) => trust?.isMember(other) ?? true);
    this.#hosts.set(node, { node, boot, network, ...(trust && { trust }) });
    this.site(node).dark = false;
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
    this.site(node).dark = true;
    for (const link of [...this.#links]) if (link.self === node) link.forget();
  }

  site(node: NodeId): Site {
    const known = this.#sites.get(node);
    if (known) return known;
    const made: Site = { paused: false, dark: false, due: [] };
    this.#sites.set(node, made);
    return made;
  }

  way(from: NodeId, to: NodeId): Way {
    const ways = this.#ways.get(from) ?? new Map<NodeId, Way>();
    const way = ways.get(to) ?? { cut: false, clogMs: 0 };
    this.#ways.set(from, ways.set(to, way));
    return way;
  }

  cut(from: NodeId, to: NodeId): void {
    this.way(from, to).cut = true;
  }

  /** Everything passes again, and whoever stood still or slept is awake. */
  heal(): void {
    for (const ways of this.#ways.values())
      for (const way of ways.values()) Object.assign(way, { cut: false, clogMs: 0 });
    for (const [node, site] of this.#sites) {
      // Who sleeps wakes whole: a process that runs on a machine without a network would be another fault.
      if (this.#hosts.has(node)) site.dark = false;
      this.resume(node);
    }
  }

  clog(from: NodeId, to: NodeId, ms: number): void {
    this.way(from, to).clogMs = ms;
  }

  pause(node: NodeId): void {
    this.site(node).paused = true;
  }

  /** What came due meanwhile happens now, in order. */
  resume(node: NodeId): void {
    const site = this.site(node);
    site.paused = false;
    for (const run of site.due.splice(0)) this.time.after(0, run);
  }

  /** Open ends of links, by whose they are. */
  get links(): Iterable<SimLink> {
    return this.#links;
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
    const reachable = this.#reaches(from, to);
    return new Promise((resolve) =>
      this.time.after(reachable ? 2 * this.delayMs() : 500, () => resolve(reachable)),
    );
  }

  dial(from: Caller, to: NodeId, options: DialOptions, isFirst = true): Promise<Link> {
    const { expect = to, lane, signal } = options;
    const { promise, resolve, reject } = Promise.withResolvers<Link>();
    signal.addEventListener("abort", () => reject(new Problem("cancelled", "dialling was given up")), {
      once: true,
    });
    const met = (host: Host) => {
      if (signal.aborted) return;
      if (expect !== to)
        return reject(new Problem("forbidden", "another machine answers there", { param: ANOTHER }));
      const refusal = refusalOf({ node: from.node, trust: this.#hosts.get(from.node)?.trust }, host);
      if (refusal) {
        const passing = (run: () => void) =>
          this.#reaches(to, from.node) && this.time.after(this.delayMs(), run);
        // Of a dial that was given up meanwhile nobody would hear how the next one ends.
        const again = () => signal.aborted || resolve(this.dial(from, to, options, false));
        refuse(refusal, { reject, passing, ...(isFirst && { again }) });
        return;
      }
      const [near, far] = this.#pair(from, host, lane);
      host.network.onLink(far);
      this.#awake(from.node, () => resolve(near));
    };
    const refused = () => {
      const cause = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
      reject(new Problem("network", "nobody listens", { cause }));
    };
    const tried = () => {
      const host = this.#hosts.get(to);
      if (host && this.site(to).paused) this.#awake(to, tried);
      else if (host) met(host);
      else this.#awake(from.node, refused);
    };
    const asked = (againMs: number, afterMs: number) => {
      if (this.#reaches(from.node, to)) this.time.after(2 * this.delayMs(), tried);
      else if (afterMs + againMs >= DIAL_MS)
        this.time.after(DIAL_MS - afterMs, () => reject(new Problem("network", "no answer")));
      else this.time.after(againMs, () => signal.aborted || asked(2 * againMs, afterMs + againMs));
    };
    asked(SYN_AGAIN_MS, 0);
    return promise;
  }

  /** A process that stands still gets to it later: its kernel takes a connection, but only the process says hello. */
  #awake(node: NodeId, run: () => void): void {
    const site = this.site(node);
    if (site.paused) site.due.push(() => this.#awake(node, run));
    else run();
  }

  #reaches(from: NodeId, to: NodeId): boolean {
    const isDark = this.site(from).dark || this.site(to).dark;
    return !(isDark || this.way(from, to).cut || this.way(to, from).cut);
  }

  #pair(from: Caller, host: Host, lane: Lane): readonly [SimLink, SimLink] {
    const end = (self: NodeId, peer: Peer) => ({
      self,
      peer,
      remote: endpointOf(peer.node),
      way: this.way(self, peer.node),
      there: this.site(peer.node),
      newer: this.newer.has(self),
    });
    const near = new SimLink(this, end(from.node, peerOf(host)), lane, true);
    const far = new SimLink(this, end(host.node, peerOf(from)), lane, false);
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
  readonly #isMember: (node: NodeId) => boolean;

  constructor(wire: SimulatedWire, node: NodeId, boot: string, isMember: (node: NodeId) => boolean) {
    this.#wire = wire;
    this.#node = node;
    this.#boot = boot;
    this.#isMember = isMember;
    this.endpoints = [endpointOf(node)];
  }

  dial(to: Endpoint, options: DialOptions): Promise<Link> {
    return this.#wire.dial({ node: this.#node, boot: this.#boot }, to.host as NodeId, options);
  }

  renew(): void {}

  recheck(): void {
    for (const link of [...this.#wire.links])
      if (link.self === this.#node && !this.#isMember(link.peer.node)) link.breakNow("a member no more");
  }

  async close(): Promise<void> {
    this.#wire.kill(this.#node);
  }
}
