/** The Topology actor: this node's facts, what others say of theirs, and the links between all, as one graph. */
import type { Clock } from "#actors/runtime/clock";
import type { ActorSystem } from "#actors/runtime/system";
import type { Link } from "#actors/runtime/transport/network";
import type { Envelope } from "#protocol/codec";
import type { Address, NodeId } from "#protocol/ids";
import type { NodeFacts } from "#protocol/node";
import type { MeasuredSpeeds } from "#protocol/speeds";
import {
  type GraphView,
  type NodeRecord,
  Topology,
  type TopologyMessage,
  TopologyReply,
} from "#protocol/topology";
import { exitOf } from "./exit.ts";
import { emptyGraph, type Graph, viewOf, without, withRecord } from "./graph.ts";
import { LinkMeter, topologyOf } from "./meter.ts";
import { isNews } from "./news.ts";
import { type Machine, thisMachine } from "./probes/machine.ts";
import { Sensors } from "./sensors.ts";
import { Talk } from "./talk.ts";

export interface TopologyOptions {
  readonly self: NodeId;
  /** This one, unless a test has another. */
  readonly machine?: Machine;
  readonly name: string;
  readonly version: string;
  readonly modelsFolder: string;
  /** Another link to a node that is linked already, for one burst; the receiver hands its bodies to `body`. */
  readonly openData: (node: NodeId, signal: AbortSignal) => Promise<Link>;
  readonly busy: () => Promise<boolean>;
  /** What this node measured of models it computed. */
  readonly speeds?: () => readonly MeasuredSpeeds[];
  /** The node told something new of itself. */
  readonly changed: (node: NodeId, facts: NodeFacts) => void;
}

export interface TopologyFace {
  readonly address: Address;
  /** A control link is open; call before its first message is passed on. */
  linkUp(link: Pick<Link, "peer" | "remote" | "local">): void;
  linkDown(node: NodeId): void;
  /** The node is a member no more. */
  forget(node: NodeId): void;
  /** Whether a burst from the node was allowed: any other data link for this actor is not wanted. */
  expects(node: NodeId): boolean;
  /** A body for this actor came on a data link; false where it was not asked for: the link should be closed. */
  body(envelope: Envelope, bytes: Uint8Array): boolean;
  /** As last heard, and of this node as it is now. */
  facts(node: NodeId): NodeFacts | undefined;
  graph(): GraphView;
  /** Every link of every linked node is measured anew, as far as none works; resolves then. */
  measure(): Promise<void>;
  stop(): void;
}

/** Facts are told so often at most, and without news so rarely. */
const TELL_MS = 2000;
const REFRESH_MS = 30_000;
/** Asking the system for its addresses is dear, and links that move to another are new links. */
const ADDRESSES_MS = 10_000;
/** All links of one node, one after the other. */
const MEASURE_MS = 30_000;
const MEASURE_EVERY_MS = 5000;
/** After so long no further node is asked. */
const MEASURE_ALL_MS = 60_000;

/** Spawns the actor, which begins to look around at once. */
export const topology = (system: ActorSystem, options: TopologyOptions): TopologyFace =>
  new TopologyActor(system, options);

class TopologyActor implements TopologyFace {
  readonly address: Address;
  readonly #system: ActorSystem;
  readonly #clock: Clock;
  readonly #options: TopologyOptions;
  readonly #machine: Machine;
  readonly #sensors: Sensors;
  readonly #meter: LinkMeter;
  readonly #linked = new Set<NodeId>();
  readonly #talk: Talk;
  /** Of every node that was linked, when it last was. */
  readonly #boots = new Map<NodeId, string>();
  /** Higher than all that this process told before, also when this actor is started again: one comes each two seconds at most. */
  readonly #firstVersion: number;
  #graph: Graph = emptyGraph;
  #told: NodeRecord | undefined;
  #toldMs = Number.NEGATIVE_INFINITY;
  #askedMs = Number.NEGATIVE_INFINITY;
  #addresses: { readonly list: ReturnType<Machine["addresses"]>; readonly atMs: number } | undefined;
  #cancelTell: (() => void) | undefined;
  #cancelRefresh = () => {};

  constructor(system: ActorSystem, options: TopologyOptions) {
    const { clock } = system;
    const { self, machine = thisMachine(), name, version, modelsFolder, openData, busy, speeds } = options;
    this.#system = system;
    this.#machine = machine;
    this.#clock = clock;
    this.#talk = new Talk(clock);
    this.#firstVersion = Math.floor(clock.nowMs() / 1000);
    this.#options = options;
    const changed = () => this.#tellSoon();
    this.#sensors = new Sensors({
      clock,
      machine,
      name,
      version,
      modelsFolder,
      changed,
      ...(speeds && { speeds }),
    });
    this.address = system.spawn<TopologyMessage>("topology", ({ message, from, reply }) =>
      this.#receive(message, from, reply),
    );
    this.#meter = new LinkMeter({
      self,
      clock,
      openData,
      busy,
      changed,
      send: (node, message) => system.send(topologyOf(node), message, this.address),
      ask: (node, message, timeoutMs) => system.ask(topologyOf(node), message, this.address, timeoutMs),
    });
    this.#meter.start();
    this.#refresh();
    this.#sensors.start();
  }

  stop(): void {
    this.#system.stop(this.address);
    this.#sensors.stop();
    this.#meter.stop();
    this.#cancelTell?.();
    this.#cancelRefresh();
  }

  linkUp({ peer: { node, boot }, remote, local }: Pick<Link, "peer" | "remote" | "local">): void {
    // Who began anew counts its versions anew.
    if (this.#boots.get(node) !== boot) this.#graph = without(this.#graph, node);
    this.#boots.set(node, boot);
    this.#linked.add(node);
    this.#addresses = undefined;
    this.#meter.linkUp(node, { remote: remote.host, ...(local !== undefined && { local }) });
    this.#sendTo(node, this.#told ?? this.#record());
    this.#tellSoon();
  }

  linkDown(node: NodeId): void {
    this.#linked.delete(node);
    this.#meter.linkDown(node);
    this.#tellSoon();
  }

  forget(node: NodeId): void {
    this.linkDown(node);
    this.#talk.forget(node);
    this.#boots.delete(node);
    this.#meter.table.forget(node);
    this.#graph = without(this.#graph, node);
  }

  body({ from, message }: Envelope, bytes: Uint8Array): boolean {
    const part = message as TopologyMessage;
    return part.type === "Topology.BurstPart" && this.#meter.part(nodeOf(from), part.burst, bytes.length);
  }

  expects(node: NodeId): boolean {
    return this.#meter.expects(node);
  }

  facts(node: NodeId): NodeFacts | undefined {
    return node === this.#options.self ? this.#sensors.facts : this.#graph.get(node)?.facts;
  }

  graph(): GraphView {
    const { self } = this.#options;
    const now = withRecord(without(this.#graph, self), self, this.#record());
    return viewOf(now, (node) => node === self || this.#linked.has(node));
  }

  async measure(): Promise<void> {
    const endMs = this.#clock.nowMs() + MEASURE_ALL_MS;
    await this.#meter.measureAll();
    for (const node of [...this.#linked].sort()) {
      if (this.#clock.nowMs() > endMs) return;
      await this.#system
        .ask(topologyOf(node), Topology.Measure({}), this.address, MEASURE_MS)
        .catch(() => {}); // Gone or too busy: what was measured before is shown.
    }
  }

  #receive(message: TopologyMessage, from: Address, reply: (answer: TopologyReply) => void): void {
    const node = nodeOf(from);
    switch (message.type) {
      case "Topology.Facts":
        this.#learn(node, message.record);
        break;
      case "Topology.Ping":
        this.#system.send(from, Topology.Pong({ sequence: message.sequence }), this.address);
        break;
      case "Topology.Pong":
        this.#meter.answered(node, message.sequence);
        break;
      case "Topology.Burst":
        void this.#meter.allow(node, message.burst).then(reply).catch(this.#system.caught);
        break;
      case "Topology.BurstEnd":
        reply(this.#meter.ended(node, message.burst));
        break;
      case "Topology.Measure":
        void this.#measureFor()
          .then(() => reply(TopologyReply.Measured({})))
          .catch(this.#system.caught);
        break;
      case "Topology.Get":
        reply(TopologyReply.Graph({ graph: this.graph() }));
        break;
      case "Topology.BurstPart": // Counts with its body only, on a data link.
        break;
    }
  }

  /** Others may ask for measurements, but not without a pause. */
  async #measureFor(): Promise<void> {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#askedMs < MEASURE_EVERY_MS) return;
    this.#askedMs = nowMs;
    await this.#meter.measureAll();
    this.#tell();
  }

  #learn(node: NodeId, record: NodeRecord): void {
    if (!this.#linked.has(node) || node === this.#options.self || !this.#talk.allows(node)) return;
    const graph = withRecord(this.#graph, node, record);
    if (graph === this.#graph) return;
    this.#graph = graph;
    this.#options.changed(node, record.facts);
  }

  /** This node as it is now. */
  #record(): NodeRecord {
    const { facts } = this.#sensors;
    const links = this.#meter.table.facts((way) =>
      exitOf(way, { addresses: this.#ownAddresses(), interfaces: facts.interfaces }),
    );
    return { version: this.#told?.version ?? this.#firstVersion, facts, links };
  }

  #ownAddresses(): ReturnType<Machine["addresses"]> {
    const nowMs = this.#clock.nowMs();
    if (!this.#addresses || nowMs - this.#addresses.atMs > ADDRESSES_MS)
      this.#addresses = { list: this.#machine.addresses(), atMs: nowMs };
    return this.#addresses.list;
  }

  /** At once if the last time was long enough ago, else when it is. */
  #tellSoon(): void {
    if (this.#cancelTell) return;
    const waitMs = TELL_MS - (this.#clock.nowMs() - this.#toldMs);
    this.#cancelTell = this.#clock.after(Math.max(0, waitMs), () => {
      this.#cancelTell = undefined;
      const now = this.#record();
      if (!this.#told || isNews(this.#told, now)) this.#tell(now);
    });
  }

  #refresh(): void {
    this.#cancelRefresh = this.#clock.after(REFRESH_MS, () => {
      this.#tell();
      this.#refresh();
    });
  }

  #tell(now = this.#record()): void {
    this.#told = { ...now, version: now.version + 1 };
    this.#toldMs = this.#clock.nowMs();
    this.#graph = withRecord(this.#graph, this.#options.self, this.#told);
    for (const node of this.#linked) this.#sendTo(node, this.#told);
    this.#options.changed(this.#options.self, this.#told.facts);
  }

  #sendTo(node: NodeId, record: NodeRecord): void {
    this.#system.send(topologyOf(node), Topology.Facts({ record }), this.address);
  }
}

const nodeOf = (address: Address): NodeId => address.slice(0, address.indexOf("/")) as NodeId;
