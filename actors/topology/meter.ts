/**
 * Measures this node's links without disturbing anybody: small messages at rest for latency; for bandwidth one short burst at a time
 * in the whole node, only while neither side works, and only where the link is new, has other addresses, or somebody asks.
 */

import type { Clock } from "#actors/runtime/clock";
import { crashOf } from "#actors/runtime/part";
import type { Link } from "#actors/runtime/transport/network";
import type { Address, NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import { Topology, type TopologyMessage, TopologyReply } from "#protocol/topology";
import { BurstCount, sendBurst } from "./burst.ts";
import { LinkTable, type Way } from "./link-table.ts";

export interface MeterPorts {
  readonly self: NodeId;
  readonly clock: Clock;
  /** Over the control link; false when there is none or it is full. */
  send(node: NodeId, message: TopologyMessage): boolean;
  /** Rejects with a Problem. */
  ask(node: NodeId, message: TopologyMessage, timeoutMs: number): Promise<TopologyReply>;
  /** A link of its own for one burst, closed after it. Rejects with a Problem. */
  openData(node: NodeId, signal: AbortSignal): Promise<Link>;
  /** Whether this node computes or loads something now. */
  busy(): Promise<boolean>;
  readonly changed: () => void;
}

const PING_MS = 12_000;
/** A new link is known within a second. */
const FIRST_PINGS_MS = [0, 200, 400, 600, 800];
const ASK_MS = 2000;
const DIAL_MS = 3000;
/** A burst whose end does not come is over. */
const RECEIVE_MS = 3000;
const AFTER_RECEIVING_MS = 100;
/** What one peer may make this node receive. */
const RECEIVE_EVERY_MS = 500;

interface Receiving {
  readonly from: NodeId;
  readonly burst: string;
  readonly count: BurstCount;
  readonly cancel: () => void;
}

export class LinkMeter {
  readonly table: LinkTable;
  readonly #ports: MeterPorts;
  readonly #pings = new Map<NodeId, { readonly sequence: number; readonly atMs: number }>();
  readonly #allowedMs = new Map<NodeId, number>();
  readonly #cancels = new Set<() => void>();
  #sequence = 0;
  #sendingTo: NodeId | undefined;
  #receiving: Receiving | undefined;
  #cancelNext = () => {};
  #waiting: (() => void)[] = [];
  #stopped = false;

  constructor(ports: MeterPorts) {
    this.#ports = ports;
    this.table = new LinkTable(ports.self);
  }

  start(): void {
    this.#later(PING_MS, () => {
      for (const node of this.table.nodes) this.#ping(node);
      this.start();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelNext();
    this.#receiving?.cancel();
    for (const cancel of this.#cancels) cancel();
    this.#released();
  }

  linkUp(node: NodeId, way: Way): void {
    this.table.up(node, way, this.#ports.clock.nowMs());
    for (const ms of FIRST_PINGS_MS) this.#later(ms, () => this.#ping(node));
    this.#consider();
  }

  linkDown(node: NodeId): void {
    this.table.down(node);
    this.#pings.delete(node);
    this.#allowedMs.delete(node);
    if (this.#receiving?.from === node) this.#received();
    this.#consider();
  }

  answered(node: NodeId, sequence: number): void {
    const ping = this.#pings.get(node);
    if (ping?.sequence !== sequence) return;
    this.#pings.delete(node);
    this.table.answered(node, this.#ports.clock.nowMs() - ping.atMs);
    this.#ports.changed();
  }

  /** Resolves once every open link was measured or refused again. */
  measureAll(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.table.want(this.#ports.clock.nowMs());
    this.#waiting.push(resolve);
    this.#consider();
    return promise;
  }

  /** A peer wants to send a burst. */
  async allow(from: NodeId, burst: string): Promise<TopologyReply> {
    const { clock } = this.#ports;
    const refuse = (reason: string) => TopologyReply.BurstRefused({ reason });
    if (clock.nowMs() - (this.#allowedMs.get(from) ?? Number.NEGATIVE_INFINITY) < RECEIVE_EVERY_MS)
      return refuse("too soon after the last one");
    if (this.#sendingTo !== undefined || this.#receiving) return refuse("another link is being measured");
    if (await this.#ports.busy()) return refuse("this node works");
    if (this.#sendingTo !== undefined || this.#receiving || this.#stopped)
      return refuse("another link is being measured");
    this.#allowedMs.set(from, clock.nowMs());
    const cancel = clock.after(RECEIVE_MS, () => this.#received());
    this.#receiving = { from, burst, count: new BurstCount(), cancel };
    return TopologyReply.BurstAllowed({});
  }

  expects(from: NodeId): boolean {
    return this.#receiving?.from === from;
  }

  /** A part of a burst came; false where it was not allowed, and its link should be closed. */
  part(from: NodeId, burst: string, bytes: number): boolean {
    const receiving = this.#receiving;
    if (receiving?.from !== from || receiving.burst !== burst) return false;
    return receiving.count.add(bytes, this.#ports.clock.nowMs());
  }

  ended(from: NodeId, burst: string): TopologyReply {
    const receiving = this.#receiving;
    if (receiving?.from !== from || receiving.burst !== burst)
      return TopologyReply.BurstRefused({ reason: "no such burst" });
    this.#received();
    const { bytes, bytesPerSecond } = receiving.count;
    return TopologyReply.BurstReceived({ bytes, ...(bytesPerSecond !== undefined && { bytesPerSecond }) });
  }

  #received(): void {
    this.#receiving?.cancel();
    this.#receiving = undefined;
    this.#consider();
  }

  #ping(node: NodeId): void {
    if (!this.table.nodes.includes(node)) return;
    this.#sequence += 1;
    this.#pings.set(node, { sequence: this.#sequence, atMs: this.#ports.clock.nowMs() });
    this.#ports.send(node, Topology.Ping({ sequence: this.#sequence }));
  }

  /** Begins the next burst that is due, or waits for it. */
  #consider(): void {
    this.#cancelNext();
    if (this.#stopped || this.#sendingTo !== undefined) return;
    if (!this.table.wanted) this.#released();
    const next = this.table.next();
    if (!next) return;
    const waitMs = this.#receiving ? AFTER_RECEIVING_MS : next.dueMs - this.#ports.clock.nowMs();
    if (waitMs <= 0) void this.#measure(next.node).catch(crashOf(this.#ports.clock));
    else this.#cancelNext = this.#ports.clock.after(waitMs, () => this.#consider());
  }

  async #measure(node: NodeId): Promise<void> {
    const { clock, changed } = this.#ports;
    this.#sendingTo = node;
    const rate = await this.#burst(node).catch((error: unknown) => {
      if (!(error instanceof Problem)) throw error;
      return undefined; // The link broke, or the peer was too busy to answer: as good as refused.
    });
    this.#sendingTo = undefined;
    if (rate === undefined) this.table.refused(node, clock.nowMs());
    else this.table.measured(node, rate, clock.epochSeconds());
    changed();
    this.#consider();
  }

  async #burst(node: NodeId): Promise<number | undefined> {
    const { clock, ask, openData, busy, self } = this.#ports;
    if (await busy()) return undefined;
    const burst = clock.freshId();
    const allowed = await ask(node, Topology.Burst({ burst }), ASK_MS);
    if (allowed.type !== "TopologyReply.BurstAllowed") return undefined;
    const dialling = new AbortController();
    const cancel = clock.after(DIAL_MS, () => dialling.abort());
    const link = await openData(node, dialling.signal).finally(cancel);
    try {
      await sendBurst({ clock, link }, { burst, from: topologyOf(self), to: topologyOf(node) });
      const ended = await ask(node, Topology.BurstEnd({ burst }), ASK_MS);
      return ended.type === "TopologyReply.BurstReceived" ? ended.bytesPerSecond : undefined;
    } finally {
      link.close();
    }
  }

  #released(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #later(ms: number, run: () => void): void {
    const cancel = this.#ports.clock.after(ms, () => {
      this.#cancels.delete(cancel);
      run();
    });
    this.#cancels.add(cancel);
  }
}

/** Where a node's Topology is reached. */
export const topologyOf = (node: NodeId): Address => `${node}/topology` as Address;
