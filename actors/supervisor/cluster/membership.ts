/** This node as a member: its record, its copy of the state, its links to the others, and what follows when these change. */
import { X509Certificate } from "node:crypto";
import type { DiscoveryHandle } from "#actors/discovery/index";
import type { WatchPorts } from "#actors/discovery/ports";
import type { RaftStore } from "#actors/runtime/raft/log";
import type { Epoch } from "#actors/runtime/raft/proposals";
import { keyOf } from "#actors/runtime/security/certificate";
import { type Identity, identityFromPem } from "#actors/runtime/security/identity";
import { isSigned } from "#actors/runtime/security/member-list";
import type { ActorSystem } from "#actors/runtime/system";
import { endpointFrom, endpointText } from "#actors/runtime/transport/endpoint";
import type { Link, Network } from "#actors/runtime/transport/network";
import type { Trust } from "#actors/runtime/transport/tls";
import { Cluster, type ClusterMessage, type MemberChange, type MemberList } from "#protocol/cluster";
import type { Address, NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { RaftMessage } from "#protocol/raft";
import { AcceptedKeys } from "./accepted-keys.ts";
import { answered, led } from "./leading.ts";
import { Links } from "./links.ts";
import { Making } from "./making.ts";
import type { ClusterRecord, ClusterStore } from "./record.ts";
import { Replica } from "./replica.ts";
import { Tending } from "./tending.ts";

export interface MembershipPorts {
  readonly system: ActorSystem;
  readonly identity: Identity;
  readonly store: ClusterStore & RaftStore;
  readonly random: () => number;
  readonly openNetwork: (trust: Trust) => Network;
  readonly watch: DiscoveryHandle["watch"];
  readonly probe: WatchPorts["probe"];
  /** Hosts by which this machine can be reached. */
  readonly hosts: () => readonly string[];
  /** A member opened a link for tensors or files. */
  readonly lane: (link: Link) => void;
  /** Anything that a view of the home shows is another. */
  readonly changed: () => void;
  /** This node is on its home's list no more. */
  readonly expelled: () => void;
  readonly refused: (from: string, why: string) => void;
  readonly troubled: (why: string) => void;
}

export class Membership {
  readonly #ports: MembershipPorts;
  readonly #replica: Replica;
  readonly #tending: Tending;
  readonly #making: Making;
  readonly #clusterPublicKey: Uint8Array;
  #record: ClusterRecord;
  #links: Links | undefined;

  /** Throws Problem when the log of the store is damaged. */
  constructor(ports: MembershipPorts, record: ClusterRecord) {
    this.#ports = ports;
    this.#record = record;
    this.#clusterPublicKey = keyOf(new X509Certificate(record.clusterPem));
    const { system, identity, store, random } = ports;
    const { node } = identity;
    const from = system.address("raft");
    this.#replica = new Replica({
      self: node,
      clock: system.clock,
      random,
      store,
      clusterKey: this.#clusterPublicKey,
      send: (to, message) => void system.send(`${to}/raft` as Address, message, from),
      changed: () => this.#follow(),
      lied: ports.refused,
      failed: (error) =>
        ports.troubled(
          `this machine cannot keep the cluster's log, and decides nothing until it can: ${reason(error)}`,
        ),
    });
    this.#making = new Making(this.#replica, system.clock, () => this.clusterKey);
    this.#tending = new Tending({
      self: node,
      clock: system.clock,
      replica: this.#replica,
      members: () => this.list.members.map((member) => member.node),
      seen: () => this.#links?.seen ?? [],
      linkTo: (other) => this.#links?.to(other),
      entrust: (other) => this.#entrust(other),
    });
  }

  get self(): NodeId {
    return this.#ports.identity.node;
  }

  get record(): ClusterRecord {
    return this.#record;
  }

  /** The newest list that this node knows to be right; after a takeover it may have a lower version than one that is lost. */
  get list(): MemberList {
    const { state, history } = this.#replica;
    const { members: known, history: before = 0 } = this.#record;
    const isNewer = state && (history > before || state.list.version > known.version);
    return isNewer ? state.list : known;
  }

  get links(): Links | undefined {
    return this.#links;
  }

  get replica(): Replica {
    return this.#replica;
  }

  /** The private part of the cluster's key, where it is held. */
  get clusterKey(): Identity | undefined {
    return this.#record.clusterKeyPem === undefined ? undefined : identityFromPem(this.#record.clusterKeyPem);
  }

  start(): void {
    const { system } = this.#ports;
    const from = (address: Address) => address.slice(0, address.indexOf("/")) as NodeId;
    system.spawn<RaftMessage>("raft", (received) =>
      this.#replica.receive(from(received.from), received.message),
    );
    system.spawn<ClusterMessage>("cluster", ({ message, reply }) => {
      if (message.type === "Cluster.Key") this.#takeKey(message.pem);
      else if (message.type === "Cluster.Forgotten") this.#takeFarewell(message.list);
      else void answered(this.#making.make(message)).then(reply);
    });
    this.#replica.start();
    this.#follow();
    this.#tending.start();
  }

  async stop(): Promise<void> {
    const { system } = this.#ports;
    this.#tending.stop();
    if (this.#replica.leads) this.#replica.raft.resign();
    this.#replica.stop();
    system.stop(system.address("raft"));
    system.stop(system.address("cluster"));
    await this.#links?.stop();
    this.#links = undefined;
  }

  /** Ends what runs by itself, and says nothing to anybody. */
  silence(): void {
    this.#tending.stop();
    this.#replica.stop();
    this.#links?.silence();
  }

  /** Whoever leads makes the change; resolves when a majority agreed. Throws Problem. */
  change(change: MemberChange): Promise<Epoch> {
    return this.#submit(Cluster.Change({ change }));
  }

  /** A command of the replicated state; throws Problem. */
  propose(command: Uint8Array): Promise<Epoch> {
    return this.#submit(Cluster.Propose({ command }));
  }

  #submit(message: ClusterMessage): Promise<Epoch> {
    const { system } = this.#ports;
    return led(
      {
        system,
        self: system.address("cluster"),
        replica: () => this.#replica,
        reaches: (node) => this.#links?.to(node) !== undefined,
        make: (asked) => this.#making.make(asked),
      },
      message,
    );
  }

  /** Draws what follows from the list as it is now: whom to link with, what to keep for the next start. */
  #follow(): void {
    const { list } = this;
    const { node } = this.#ports.identity;
    this.#save({
      members: list,
      history: Math.max(this.#replica.history, this.#record.history ?? 0),
      discoveryKeys: this.#replica.state?.discoveryKeys ?? this.#record.discoveryKeys,
    });
    if (!this.#has(node)) {
      this.#ports.expelled();
      return;
    }
    const others = list.members.map((member) => member.node).filter((other) => other !== node);
    if (others.length > 0 || this.#links) {
      this.#links ??= this.#open();
      this.#sayFarewell(list, others);
      this.#links.setMembers(others);
    }
    this.#ports.changed();
  }

  #open(): Links {
    const { system, identity, openNetwork, watch, probe, hosts, lane, changed: shown, refused } = this.#ports;
    const accepted = new AcceptedKeys(system.clock);
    const links = new Links({
      system,
      self: identity.node,
      trust: this.#trust(),
      open: openNetwork,
      watch,
      probe,
      keys: () => accepted.of(this.#record.discoveryKeys),
      hosts,
      located: (node, endpoints) => {
        const known = Object.entries(this.#record.addresses).filter(([member]) =>
          this.#has(member as NodeId),
        );
        this.#save({ addresses: { ...Object.fromEntries(known), [node]: endpoints.map(endpointText) } });
        shown();
      },
      changed: shown,
      lane,
      refused,
    });
    links.setMembers(this.list.members.map(({ node }) => node).filter((node) => node !== identity.node));
    for (const [node, texts] of Object.entries(this.#record.addresses))
      for (const endpoint of texts.map(endpointFrom).toReversed())
        if (endpoint) links.learn(node as NodeId, endpoint);
    return links;
  }

  #trust(): Trust {
    const { clusterPem, nodePem } = this.#record;
    const list = () => this.list;
    return {
      clusterPem,
      nodePem,
      isMember: (node) => this.#has(node),
      get minimumMinor() {
        return list().minimumMinor;
      },
    };
  }

  #has(node: NodeId): boolean {
    return this.list.members.some((member) => member.node === node);
  }

  #entrust(to: NodeId): void {
    const { system } = this.#ports;
    const { clusterKeyPem: pem } = this.#record;
    if (pem !== undefined)
      system.send(`${to}/cluster` as Address, Cluster.Key({ pem }), system.address("cluster"));
  }

  /** Only the key that belongs to this cluster is one. */
  #takeKey(pem: string): void {
    if (this.#record.clusterKeyPem !== undefined) return;
    const key = keyIn(pem);
    if (key && Buffer.compare(key.publicKey, this.#clusterPublicKey) === 0)
      this.#save({ clusterKeyPem: pem });
  }

  /** Whoever is on the list no more is told so before its links end. */
  #sayFarewell(list: MemberList, others: readonly NodeId[]): void {
    const { system } = this.#ports;
    for (const node of this.#links?.open ?? [])
      if (!others.includes(node))
        system.send(`${node}/cluster` as Address, Cluster.Forgotten({ list }), system.address("cluster"));
  }

  /** Nobody but the cluster's key can say that this node is a member no more. */
  #takeFarewell(list: MemberList): void {
    const { cluster, version } = this.list;
    const isNews = list.cluster === cluster && list.version > version;
    const isOut = !list.members.some((member) => member.node === this.self);
    if (isNews && isOut && isSigned(list, this.#clusterPublicKey)) this.#ports.expelled();
  }

  #save(part: Partial<ClusterRecord>): void {
    const next = { ...this.#record, ...part };
    if (Bun.deepEquals(next, this.#record)) return;
    this.#record = next;
    try {
      this.#ports.store.saveRecord(next);
    } catch (error) {
      // It goes on with what it knows; the next start begins with what could be kept.
      this.#ports.troubled(`what is new about the home could not be kept: ${reason(error)}`);
    }
  }
}

/** Undefined for what is no key: a member that leads may send anything. */
function keyIn(pem: string): Identity | undefined {
  try {
    return identityFromPem(pem);
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));
