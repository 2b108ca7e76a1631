/** What whoever leads looks after: who votes, and that those who may lead next can sign member lists. */
import type { Seen } from "#actors/discovery/ports";
import type { Clock } from "#actors/runtime/clock";
import type { Link } from "#actors/runtime/transport/network";
import type { Member } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { Replica } from "./replica.ts";
import { nextConfig } from "./voters.ts";

export interface TendingPorts {
  readonly self: NodeId;
  readonly clock: Clock;
  readonly replica: Replica;
  readonly members: () => readonly Member[];
  readonly seen: () => readonly Seen[];
  readonly linkTo: (node: NodeId) => Link | undefined;
  /** Gives a member the cluster's key, where this node holds it, through whoever leads; it may fail. */
  readonly entrust: (node: NodeId) => Promise<void>;
}

const EVERY_MS = 1000;
/** A restart, an update, a cable in the wrong socket: a voter that comes back within this keeps its vote. */
const GONE_MS = 60_000;
/** So many machines can sign, where there are as many: the home outlives the loss of all but one. */
const TRUSTEES = 3;
/** One vote less, one more, and one look that finds nothing to do. */
const UNSEATING_STEPS = 3;

export class Tending {
  readonly #ports: TendingPorts;
  #cancel = () => {};
  #leaving: NodeId | undefined;

  constructor(ports: TendingPorts) {
    this.#ports = ports;
  }

  /** Looks now, and every second from now on. */
  start(): void {
    this.#look();
    this.#cancel = this.#ports.clock.after(EVERY_MS, () => this.start());
  }

  stop(): void {
    this.#cancel();
  }

  /**
   * Before a machine goes, another votes in its place: who leads may die right after, and a majority is still there. Before this node
   * goes another votes beside it, which may lead then. Throws Problem `unavailable` without a majority.
   */
  async unseat(node: NodeId): Promise<void> {
    const { self, replica } = this.#ports;
    const isOwn = node === self;
    if (isOwn && replica.raft.config.voters.length > 1) return;
    this.#leaving = node;
    try {
      for (let step = isOwn ? UNSEATING_STEPS : 1; step <= UNSEATING_STEPS; step++)
        if (!(await this.#chooseVoters())) break;
    } catch (error) {
      unlessProblem(error); // It goes nevertheless, as the user wants,
      if (error instanceof Problem && error.kind === "unavailable") throw error; // unless nobody can agree on that either.
    } finally {
      this.#leaving = undefined;
    }
  }

  #look(): void {
    const { self, replica, members } = this.#ports;
    // The last one of a home, whose voters all were forgotten, decides for itself.
    const alone = members().length === 1 && members()[0]?.node === self;
    if (alone && replica.state && !replica.raft.config.voters.includes(self)) replica.raft.takeOver();
    if (!replica.leads) {
      this.#entrustLeader();
      return;
    }
    if (this.#workers().includes(self)) {
      // It came to lead while it became a worker, as it holds what the others lack: who has been told of that, and is none, leads next.
      const heirs = this.#up();
      replica.raft.resign((node) => heirs.includes(node) && replica.raft.hasTaught(node));
      return;
    }
    this.#chooseVoters().catch(unlessProblem); // The next look tries again.
    this.#entrust();
  }

  /** Whether somebody else votes now; throws Problem for a change that is not final yet, or without a majority. */
  async #chooseVoters(): Promise<boolean> {
    const { self, clock, replica, members, seen } = this.#ports;
    const longAgo = clock.nowMs() - GONE_MS;
    // Also one that others hear: who leads cannot count on its vote. One that was never linked may be about to be.
    const isGone = ({ state, sinceMs }: Seen) =>
      state !== "up" && state !== "connecting" && sinceMs < longAgo;
    const gone = seen()
      .filter(isGone)
      .map(({ node }) => node);
    const { config } = replica.raft;
    const all = members().map(({ node }) => node);
    const next = nextConfig({
      self,
      current: config,
      members: all,
      workers: this.#workers(),
      // Who gives no vote, as it knows nothing yet, must not be counted on.
      up: this.#up().filter((node) => node === self || replica.raft.hasTaught(node)),
      answering: [
        self,
        ...seen()
          .filter(({ state }) => state === "up")
          .map(({ node }) => node),
      ],
      gone,
    });
    const newcomer = next?.voters.find((node) => !config.voters.includes(node));
    // Who votes may lead at any moment, and must be able to sign then.
    if (newcomer && replica.state?.boxes[newcomer] === undefined) await this.#ports.entrust(newcomer);
    if (next) await replica.raft.configure(next);
    return next !== undefined;
  }

  #entrust(): void {
    const { self, replica, linkTo, entrust } = this.#ports;
    const boxes = replica.state?.boxes ?? {};
    const voters = replica.raft.config.voters.filter((node) => !this.#workers().includes(node));
    const trustees = [...voters, ...this.#up().filter((node) => !voters.includes(node))].slice(
      0,
      Math.max(TRUSTEES, voters.length),
    );
    for (const node of trustees) {
      const isHere = node === self || linkTo(node) !== undefined;
      if (isHere && boxes[node] === undefined) entrust(node).catch(unlessProblem);
    }
  }

  /** Who leads without the key can neither sign nor get it by itself: it may have come to lead before it was given the newest one. */
  #entrustLeader(): void {
    const { self, replica, linkTo, entrust } = this.#ports;
    const { leader } = replica.raft;
    const boxes = replica.state?.boxes ?? {};
    const isLacking = leader !== undefined && boxes[leader] === undefined && boxes[self] !== undefined;
    if (isLacking && linkTo(leader) !== undefined) entrust(leader).catch(unlessProblem);
  }

  #workers(): readonly NodeId[] {
    const isOut = ({ node, role }: Member) => role === "worker" || node === this.#leaving;
    return this.#ports.members().flatMap((member) => (isOut(member) ? [member.node] : []));
  }

  /** Those that may vote, longest first. */
  #up(): readonly NodeId[] {
    const { self, seen } = this.#ports;
    const others = seen()
      .filter(({ state }) => state === "up")
      .toSorted((a, b) => a.sinceMs - b.sinceMs);
    const workers = this.#workers();
    return [self, ...others.map(({ node }) => node)].filter((node) => !workers.includes(node));
  }
}

function unlessProblem(error: unknown): void {
  if (!(error instanceof Problem)) throw error;
}
