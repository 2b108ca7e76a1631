/** This node's links to the other members: opened with the second member, closed with the last. */
import type { DiscoveryHandle } from "#actors/discovery/index";
import type { Seen, Watch, WatchPorts } from "#actors/discovery/ports";
import type { ActorSystem } from "#actors/runtime/system";
import { endpointText } from "#actors/runtime/transport/endpoint";
import type { Endpoint, Lane, Link, Network } from "#actors/runtime/transport/network";
import type { Trust } from "#actors/runtime/transport/trust";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import { guarded, type Say } from "./access.ts";
import { Lanes, type LanesPorts } from "./lanes.ts";

export interface LinksPorts {
  readonly system: ActorSystem;
  readonly self: NodeId;
  readonly trust: Trust;
  readonly open: (trust: Trust) => Network;
  readonly watch: DiscoveryHandle["watch"];
  readonly probe: WatchPorts["probe"];
  readonly keys: WatchPorts["keys"];
  /** Hosts by which this machine can be reached. */
  readonly hosts: () => readonly string[];
  readonly located: WatchPorts["located"];
  readonly changed: () => void;
  /** A member is dead, or said goodbye; it may be said more than once. */
  readonly ended: (node: NodeId) => void;
  /** A member opened a link for measuring or files. */
  readonly lane: (link: Link) => void;
  readonly refused: (from: string, why: string) => void;
  readonly roleOf: (node: NodeId) => Say;
  readonly outOfRole: (node: NodeId) => void;
  readonly instances: LanesPorts["instances"];
}

export class Links {
  readonly #ports: LinksPorts;
  readonly #network: Network;
  readonly #watch: Watch;
  readonly #lanes: Lanes;
  readonly #open = new Map<NodeId, Link>();
  readonly #saidMs = new Map<NodeId, number>();

  /** Throws Problem when the port cannot be had. */
  constructor(ports: LinksPorts) {
    this.#ports = ports;
    const { self, system, watch, probe, keys, located, trust } = ports;
    this.#network = ports.open(trust);
    this.#watch = watch({
      self,
      clock: system.clock,
      network: this.#network,
      probe,
      keys,
      located,
      changed: () => this.#seenAnew(),
      saidMs: (node) => this.#saidMs.get(node) ?? Number.NEGATIVE_INFINITY,
      here: () => this.here,
      linked: (node, link) => this.#linked(node, link),
      unlinked: (node) => this.#unlinked(node),
    });
    this.#lanes = new Lanes({
      self,
      clock: system.clock,
      refused: ports.refused,
      roleOf: ports.roleOf,
      instances: ports.instances,
      dial: (node, signal) => this.dial(node, "data", signal),
      measure: ports.lane,
    });
    const takers = {
      control: (link: Link) => this.#watch.accept(link),
      data: (link: Link) => this.#lanes.accept(link),
      file: ports.lane,
    };
    this.#network.onLink = (link) => takers[link.lane](link);
  }

  /** Every member but this one, as seen from here. */
  get seen(): readonly Seen[] {
    return this.#watch.all;
  }

  /** Members say that another machine runs with this one's identity. */
  get isCopied(): boolean {
    return this.#watch.isCopied;
  }

  get open(): readonly NodeId[] {
    return [...this.#open.keys()];
  }

  get port(): number | undefined {
    return this.#network.endpoints[0]?.port;
  }

  /** Where this node can be dialled, `host:port`. */
  get here(): readonly string[] {
    const { port } = this;
    return port === undefined ? [] : this.#ports.hosts().map((host) => endpointText({ host, port }));
  }

  to(node: NodeId): Link | undefined {
    return this.#open.get(node);
  }

  /** The others of the list; links of those that are on it no more are closed at once. */
  setMembers(nodes: readonly NodeId[]): void {
    this.#watch.setMembers(nodes);
    this.#network.recheck();
  }

  /** The next links are made with other certificates. */
  renew(): void {
    this.#network.renew();
  }

  learn(node: NodeId, endpoint: Endpoint): void {
    this.#watch.learn(node, endpoint);
  }

  /** Opens a link of its own for tensors or files, by the way that is known to work best. Throws Problem. */
  async dial(node: NodeId, lane: Exclude<Lane, "control">, signal: AbortSignal): Promise<Link> {
    const seen = this.seen.find((each) => each.node === node);
    const [endpoint] = seen?.endpoints ?? [];
    if (!endpoint) throw new Problem("network", `it is not known where ${node.slice(0, 8)} can be reached`);
    return await this.#network.dial(endpoint, { expect: node, lane, signal });
  }

  async stop(): Promise<void> {
    this.#watch.stop();
    for (const node of [...this.#open.keys()]) this.#unlinked(node);
    await this.#network.close();
  }

  silence(): void {
    this.#watch.stop();
  }

  #seenAnew(): void {
    for (const { node, state } of this.seen)
      if (state === "dead" || state === "away") this.#ports.ended(node);
    this.#ports.changed();
  }

  #linked(node: NodeId, link: Link): void {
    const { self, refused, system, changed, roleOf, outOfRole } = this.#ports;
    this.#open.set(node, link);
    const said = () => void this.#saidMs.set(node, system.clock.nowMs());
    const heard = () => this.#watch.heard(node);
    const guard = guarded(link, { self, refused, said, heard, roleOf, outOfRole });
    system.connect(node, guard, this.#lanes.open(node));
    changed();
  }

  #unlinked(node: NodeId): void {
    if (!this.#open.delete(node)) return;
    this.#lanes.close(node);
    this.#ports.system.disconnect(node);
    this.#ports.changed();
  }
}
