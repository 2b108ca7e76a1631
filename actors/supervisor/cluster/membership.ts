/** This node as a member: its record, its copy of the state, its links to the others, and what follows when these change. */
import type { Epoch } from "#actors/runtime/raft/proposals";
import type { Identity } from "#actors/runtime/security/identity";
import { endpointFrom, endpointText } from "#actors/runtime/transport/endpoint";
import {
  type Authority,
  Cluster,
  type ClusterMessage,
  type MemberChange,
  type MemberList,
  type Role,
} from "#protocol/cluster";
import type { Address, NodeId } from "#protocol/ids";
import { worded } from "#protocol/problem";
import type { RaftMessage } from "#protocol/raft";
import { AcceptedKeys } from "./accepted-keys.ts";
import { sayOf } from "./access.ts";
import { answered, certificateFrom, certified, led, noSay } from "./leading.ts";
import { Links } from "./links.ts";
import { Making } from "./making.ts";
import type { MembershipPorts } from "./membership-ports.ts";
import { tell } from "./news.ts";
import { Papers } from "./papers.ts";
import { authorityOf, type ClusterRecord, recordedAuthority } from "./record.ts";
import { Replica } from "./replica.ts";
import { Tending } from "./tending.ts";

export class Membership {
  readonly #ports: MembershipPorts;
  readonly #replica: Replica;
  readonly #tending: Tending;
  readonly #making: Making;
  readonly #papers: Papers;
  #record: ClusterRecord;
  #links: Links | undefined;
  /** The list that the links are by. */
  #linked: MemberList | undefined;

  /** Throws Problem when the log of the store is damaged. */
  constructor(ports: MembershipPorts, record: ClusterRecord) {
    this.#ports = ports;
    this.#record = record;
    const { system, identity, store, random } = ports;
    const { node } = identity;
    const from = system.address("raft");
    this.#replica = new Replica({
      self: node,
      clock: system.clock,
      random,
      store,
      since: record.since,
      // Read from the store before the papers are there.
      authority: () => this.#papers?.authority ?? authorityOf(record),
      send: (to, message) => void system.send(`${to}/raft` as Address, message, from),
      changed: () => this.#follow(),
      lied: ports.refused,
      failed: (error) =>
        ports.troubled(
          `this machine cannot keep the cluster's log, and decides nothing until it can: ${worded(error)}`,
        ),
    });
    this.#papers = this.#papersOf(ports);
    this.#making = new Making({
      identity,
      clock: system.clock,
      steps: ports.steps,
      replica: this.#replica,
      authority: () => this.authority,
      clusterKey: () => this.clusterKey,
      seen: () => this.#links?.seen ?? [],
      propose: (command) => this.propose(command),
      unseat: (other) => this.#tending.unseat(other),
    });
    this.#tending = new Tending({
      self: node,
      clock: system.clock,
      replica: this.#replica,
      members: () => this.list.members,
      seen: () => this.#links?.seen ?? [],
      linkTo: (other) => this.#links?.to(other),
      entrust: (other) => this.#making.entrust(other),
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
    return this.#papers.clusterKey;
  }

  get authority(): Authority {
    return this.#papers.authority;
  }

  roleOf(node: NodeId): Role {
    return this.list.members.find((member) => member.node === node)?.role ?? "full";
  }

  start(): void {
    const { system } = this.#ports;
    const from = (address: Address) => address.slice(0, address.indexOf("/")) as NodeId;
    system.spawn<RaftMessage>("raft", (received) =>
      this.#replica.receive(from(received.from), received.message),
    );
    system.spawn<ClusterMessage>("cluster", ({ message, from: asker, reply }) => {
      if (message.type === "Cluster.Forgotten") {
        if (this.#papers.take(message) === "old") tell(system, from(asker), this);
      } else if (message.type === "Cluster.Certify")
        void certified(this.#papers.certificateFor(from(asker)))
          .then(reply)
          .catch(system.caught);
      else void answered(this.#making.make(message)).then(reply).catch(system.caught);
    });
    this.#replica.start();
    this.#follow();
    this.#tending.start();
  }

  async stop(): Promise<void> {
    const { system } = this.#ports;
    this.#tending.stop();
    this.#papers.stop();
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
    this.#papers.stop();
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
    if (this.roleOf(this.self) === "worker") return Promise.reject(noSay());
    const { system } = this.#ports;
    return led(
      {
        system,
        self: system.address("cluster"),
        replica: () => this.#replica,
        reaches: (node) => this.#links?.to(node) !== undefined,
        votes: () => this.#making.votes,
        make: (asked) => this.#making.make(asked),
      },
      message,
    );
  }

  /** Draws what follows from the list as it is now: whom to link with, what to keep for the next start. */
  #follow(): void {
    const { list } = this;
    this.#save({
      members: list,
      ...recordedAuthority(this.authority),
      history: Math.max(this.#replica.history, this.#record.history ?? 0),
      discoveryKeys: this.#replica.state?.discoveryKeys ?? this.#record.discoveryKeys,
    });
    if (!this.#has(this.self)) this.#ports.expelled(list);
    else {
      if (list !== this.#linked) this.#linkWith(list);
      this.#papers.follow();
      this.#ports.changed();
    }
  }

  /** Not for other changes, which are most. */
  #linkWith(list: MemberList): void {
    const others = list.members.map(({ node }) => node).filter((node) => node !== this.self);
    if (others.length > 0) this.#links ??= this.#open(others);
    this.#sayFarewell(others);
    this.#links?.setMembers(others);
    this.#linked = list;
  }

  #open(others: readonly NodeId[]): Links {
    const { system, identity, openNetwork, watch, probe, hosts, lane, changed: shown, refused } = this.#ports;
    const accepted = new AcceptedKeys(system.clock);
    const links = new Links({
      system,
      self: identity.node,
      trust: this.#papers.trust,
      // What this node knows: who speaks answers with the newer list, if it has one.
      outOfRole: (node) => tell(system, node, this),
      roleOf: (node) => sayOf(this.roleOf(node), this.#replica.raft.config.voters.includes(node)),
      instances: () => this.#replica.state?.instances ?? [],
      open: openNetwork,
      watch,
      probe,
      keys: () => accepted.of(this.#record.discoveryKeys),
      hosts,
      located: (node, endpoints) => {
        const texts = endpoints.map(endpointText);
        const { addresses } = this.#record;
        if (Bun.deepEquals(texts, addresses[node])) return;
        const known = Object.entries(addresses).filter(([member]) => this.#has(member as NodeId));
        this.#save({ addresses: { ...Object.fromEntries(known), [node]: texts } });
        shown();
      },
      changed: shown,
      ended: (node) => this.#replica.raft.ended(node),
      lane,
      refused,
    });
    links.setMembers(others);
    for (const [node, texts] of Object.entries(this.#record.addresses))
      for (const endpoint of texts.map(endpointFrom).toReversed())
        if (endpoint) links.learn(node as NodeId, endpoint);
    return links;
  }

  #has(node: NodeId): boolean {
    return this.list.members.some((member) => member.node === node);
  }

  #papersOf({ identity, system, steps, expelled, troubled }: MembershipPorts): Papers {
    return new Papers({
      identity,
      clock: system.clock,
      steps,
      record: () => this.#record,
      save: (part) => this.#save(part),
      list: () => this.list,
      state: () => this.#replica.state,
      overtaken: () => this.#replica.history > (this.#record.history ?? 0),
      signers: () => {
        const { leader } = this.#replica.raft;
        const holders = Object.keys(this.#replica.state?.boxes ?? {}) as NodeId[];
        const all = new Set(leader === undefined ? holders : [leader, ...holders]);
        return [...all].filter((node) => this.#links?.to(node) !== undefined);
      },
      ask: (node) => certificateFrom(system, node),
      renewed: () => this.#links?.renew(),
      learnt: () => this.#follow(),
      expelled,
      troubled,
    });
  }

  /** Whoever is on the list no more is told so before its links end. */
  #sayFarewell(others: readonly NodeId[]): void {
    for (const node of this.#links?.open ?? [])
      if (!others.includes(node)) tell(this.#ports.system, node, this);
  }

  #save(part: Partial<ClusterRecord>): void {
    if (holds(this.#record, part)) return;
    const next = { ...this.#record, ...part };
    this.#record = next;
    try {
      this.#ports.store.saveRecord(next);
    } catch (error) {
      // It goes on with what it knows; the next start begins with what could be kept.
      this.#ports.troubled(`what is new about the home could not be kept: ${worded(error)}`);
    }
  }
}

const holds = (record: ClusterRecord, part: Partial<ClusterRecord>): boolean =>
  Object.entries(part).every(([name, value]) => Bun.deepEquals(value, Reflect.get(record, name)));
