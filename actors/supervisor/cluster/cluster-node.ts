/** A node of a cluster from its start to its end, also when it joins another cluster or is forgotten by its own. */

import type { Epoch } from "#actors/runtime/raft/proposals";
import { nodeIdOf } from "#actors/runtime/security/identity";
import type { Lane, Link } from "#actors/runtime/transport/network";
import type { MemberChange, MemberList, NodeView } from "#protocol/cluster";
import type { Neighbour } from "#protocol/discovery";
import type { NodeId } from "#protocol/ids";
import type { NodeFacts } from "#protocol/node";
import { Problem, worded } from "#protocol/problem";
import type { Joiner } from "./admission.ts";
import { checkRecord, recordFor } from "./admitting.ts";
import { type Agreed, agreedBy } from "./agreed.ts";
import { firstSnapshot, freshCluster } from "./genesis.ts";
import { noSay } from "./leading.ts";
import { Membership } from "./membership.ts";
import type { ClusterNodePorts } from "./membership-ports.ts";
import type { Cluster } from "./ports.ts";
import type { ClusterRecord, Forgetters } from "./record.ts";
import { sealedRecord } from "./sealed-key.ts";
import { encodeCommand } from "./state.ts";
import { heardOf, until } from "./until.ts";
import { nodeViews } from "./views.ts";

/** Time for the others to hear that this node, which leads, is forgotten. */
const FAREWELL_MS = 2000;
/** A home that could not be left, as the disk is full, is left when there is room. */
const LEAVE_AGAIN_MS = 10_000;
const ADMITTED_MS = 5000;
/** Enough of its machines to tell which home it was. */
const NAMES_MAX = 8;

export class ClusterNode implements Cluster {
  readonly #ports: ClusterNodePorts;
  readonly #listeners = new Set<() => void>();
  readonly #facts = new Map<NodeId, NodeFacts>();
  readonly #lanes = new Map<Lane, (link: Link) => void>();
  #membership: Membership;
  #telling = false;
  #leaving = false;
  #stopped = false;
  #cancelLeave = () => {};

  private constructor(ports: ClusterNodePorts, record: ClusterRecord) {
    this.#ports = ports;
    this.#membership = this.#member(record);
  }

  /** Goes on as what the store holds, or begins a cluster of one. Throws Problem when what the store holds is damaged. */
  static async open(ports: ClusterNodePorts): Promise<ClusterNode> {
    const { store, identity, name, system, steps } = ports;
    const kept = sealedRecord(store, identity);
    const record = kept ?? (await freshCluster(identity, name, system.clock.epochSeconds(), { steps }));
    if (!kept) store.begin(record, firstSnapshot(record, identity));
    checkRecord(record, identity);
    const node = new ClusterNode(ports, record);
    node.#membership.start();
    return node;
  }

  get self(): NodeId {
    return this.#ports.identity.node;
  }

  get mayAdmit(): boolean {
    return this.#membership.clusterKey !== undefined;
  }

  get others(): number {
    return this.#membership.list.members.length - 1;
  }

  get settings(): Readonly<Record<string, string>> {
    return this.#membership.replica.state?.settings ?? {};
  }

  get agreed(): Agreed {
    return agreedBy(this.#membership);
  }

  get linked(): readonly NodeId[] {
    return this.#membership.links?.open ?? [];
  }

  link(node: NodeId): Link | undefined {
    return this.#membership.links?.to(node);
  }

  isMember(node: NodeId): boolean {
    return this.#membership.list.members.some((member) => member.node === node);
  }

  get port(): number | undefined {
    return this.#membership.links?.port;
  }

  near(): Promise<readonly Neighbour[]> {
    return this.#ports.near();
  }

  async nodes(): Promise<readonly NodeView[]> {
    const near = await this.near();
    const { list, links, replica, record } = this.#membership;
    const forgottenBy = this.others === 0 ? record.forgottenBy?.names : undefined;
    const { name, version } = this.#ports;
    return nodeViews({
      self: {
        node: this.self,
        name,
        version,
        here: links?.here ?? [],
        isCopied: links?.isCopied ?? false,
        ...(forgottenBy && { forgottenBy }),
      },
      members: list.members,
      seen: links?.seen ?? [],
      leader: replica.raft.leader,
      voters: replica.raft.config.voters,
      facts: this.#facts,
      near,
    });
  }

  changed(run: () => void): () => void {
    this.#listeners.add(run);
    return () => this.#listeners.delete(run);
  }

  /** Somebody near is another; members are told of by themselves. */
  touch(): void {
    if (this.#telling) return;
    this.#telling = true;
    queueMicrotask(() => {
      this.#telling = false;
      for (const listener of [...this.#listeners]) listener();
    });
  }

  change(change: MemberChange): Promise<Epoch> {
    return this.#heard(this.#membership.change(change));
  }

  set(name: string, value?: string): Promise<Epoch> {
    const command = { type: "set", name, ...(value !== undefined && { value }) } as const;
    return this.#heard(this.#membership.propose(encodeCommand(command)));
  }

  #heard(agreed: Promise<Epoch>): Promise<Epoch> {
    return heardOf(agreed, this, this.#ports.system.clock, this.#membership.replica.raft);
  }

  takeOver(): void {
    const { replica, links } = this.#membership;
    if (this.#membership.roleOf(this.self) === "worker") throw noSay();
    const voter = links?.seen.find(
      ({ node, state }) => state === "up" && replica.raft.config.voters.includes(node),
    );
    if (voter)
      throw new Problem(
        "forbidden",
        `${this.#nameOf(voter.node)} is up and votes: this home needs no takeover`,
      );
    if (!replica.leads) replica.raft.takeOver();
  }

  learnFacts(node: NodeId, facts: NodeFacts): void {
    if (!this.isMember(node)) return;
    for (const known of this.#facts.keys()) if (!this.isMember(known)) this.#facts.delete(known);
    this.#facts.set(node, facts);
    this.touch();
  }

  async dial(node: NodeId, lane: Exclude<Lane, "control">, signal: AbortSignal): Promise<Link> {
    const { links } = this.#membership;
    if (links) return await links.dial(node, lane, signal);
    throw new Problem("network", "this machine has no others to link with");
  }

  onLane(lane: Exclude<Lane, "control">, take: (link: Link) => void): void {
    this.#lanes.set(lane, take);
  }

  async admit(joiner: Joiner): Promise<ClusterRecord> {
    const membership = this.#membership;
    const { clusterKey, replica } = membership;
    const voters = replica.raft.config.voters.map((node) => this.#nameOf(node)).join(", ");
    if (!clusterKey)
      throw new Problem(
        "forbidden",
        "this machine cannot let others in: it does not hold the cluster's key",
        {
          remedy: `invite on a machine that votes: ${voters || "exo nodes shows which"}`,
        },
      );
    const { publicKey: key, name, role } = joiner;
    const { index } = await membership.change({ type: "admit", key, name, ...(role && { role }) });
    // A list of before may have it as well: one that was forgotten since, and is let in again.
    const isKnown = () => replica.raft.committed >= index && this.isMember(nodeIdOf(joiner.publicKey));
    await until(this, this.#ports.system.clock, ADMITTED_MS, isKnown);
    return await recordFor(joiner, membership, this.#ports.steps);
  }

  async adopt(record: ClusterRecord): Promise<void> {
    checkRecord(record, this.#ports.identity);
    if (this.others > 0)
      throw new Problem("forbidden", "this machine belongs to a home with other machines already", {
        remedy: `leave that home first: exo node ${this.self.slice(0, 8)} forget`,
      });
    await this.#restart(record, () => this.#ports.store.begin(record));
  }

  async leave(forgottenBy?: Forgetters): Promise<void> {
    this.#leaving = true;
    this.#cancelLeave();
    const { identity, name, store, system, steps } = this.#ports;
    try {
      const fresh = await freshCluster(identity, name, system.clock.epochSeconds(), { steps });
      const record = { ...fresh, ...(forgottenBy && { forgottenBy }) };
      await this.#restart(record, () => store.begin(record, firstSnapshot(record, identity)));
    } finally {
      this.#leaving = this.#stopped;
    }
  }

  async stop(): Promise<void> {
    this.#end();
    await this.#membership.stop();
  }

  /** Ends at once and without a word, as a killed process does. */
  silence(): void {
    this.#end();
    this.#membership.silence();
  }

  #end(): void {
    this.#stopped = true;
    this.#leaving = true;
    this.#cancelLeave();
  }

  #member(record: ClusterRecord): Membership {
    return new Membership(
      {
        ...this.#ports,
        lane: (link) => {
          const take = this.#lanes.get(link.lane);
          if (take) take(link);
          else link.close();
        },
        changed: () => this.touch(),
        expelled: (by) => this.#expelled(by),
      },
      record,
    );
  }

  /** Alone again, under the same identity: the next invite may bring it back. */
  #expelled({ cluster, members }: MemberList): void {
    if (this.#leaving) return;
    this.#ports.troubled(
      "this machine was taken off its home's list of machines, and is on its own again; to bring it back: exo invite there, exo join CODE here",
    );
    this.#leaving = true;
    const names = members.slice(0, NAMES_MAX).map(({ name }) => name);
    this.#leaveIn(this.#membership.replica.leads ? FAREWELL_MS : 0, { cluster, names });
  }

  #leaveIn(ms: number, by: Forgetters): void {
    const { troubled, system } = this.#ports;
    const failed = (error: unknown) => {
      if (!(error instanceof Problem)) throw error;
      troubled(worded(error));
      this.#leaving = true;
      if (!this.#stopped) this.#leaveIn(LEAVE_AGAIN_MS, by);
    };
    this.#cancelLeave = system.clock.after(ms, () => void this.leave(by).catch(failed));
  }

  /** A member by `record` from now on; where that cannot be kept, as before, and the error is thrown. */
  async #restart(record: ClusterRecord, keep: () => void): Promise<void> {
    let now = this.#membership.record;
    await this.#membership.stop();
    if (this.#stopped) return;
    try {
      keep();
      now = record;
      for (const node of this.#facts.keys()) if (node !== this.self) this.#facts.delete(node);
    } finally {
      this.#membership = this.#member(now);
      this.#membership.start();
      this.touch();
    }
  }

  #nameOf(node: NodeId): string {
    return this.#membership.list.members.find((member) => member.node === node)?.name ?? node.slice(0, 8);
  }
}
