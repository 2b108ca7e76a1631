/** What whoever leads looks after: who votes, and that those who may lead next can sign member lists. */
import type { Seen } from "#actors/discovery/ports";
import type { Clock } from "#actors/runtime/clock";
import type { Link } from "#actors/runtime/transport/network";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { Replica } from "./replica.ts";
import { nextConfig } from "./voters.ts";

export interface TendingPorts {
  readonly self: NodeId;
  readonly clock: Clock;
  readonly replica: Replica;
  readonly members: () => readonly NodeId[];
  readonly seen: () => readonly Seen[];
  readonly linkTo: (node: NodeId) => Link | undefined;
  /** Gives a member the cluster's key, where this node holds it. */
  readonly entrust: (node: NodeId) => void;
}

const EVERY_MS = 1000;
/** A restart, an update, a cable in the wrong socket: a voter that comes back within this keeps its vote. */
const GONE_MS = 60_000;
/** So many machines can sign, where there are as many: the home outlives the loss of all but one. */
const TRUSTEES = 3;

export class Tending {
  readonly #ports: TendingPorts;
  readonly #entrusted = new WeakSet<Link>();
  #cancel = () => {};

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

  #look(): void {
    const { self, replica, members } = this.#ports;
    // The last one of a home, whose voters all were forgotten, decides for itself.
    const alone = members().length === 1 && members()[0] === self;
    if (alone && replica.state && !replica.raft.config.voters.includes(self)) replica.raft.takeOver();
    if (!replica.leads) return;
    this.#chooseVoters();
    this.#entrust();
  }

  #chooseVoters(): void {
    const { self, clock, replica, members, seen } = this.#ports;
    const longAgo = clock.nowMs() - GONE_MS;
    const isGone = ({ state, sinceMs }: Seen) =>
      (state === "dead" || state === "away" || state === "copied") && sinceMs < longAgo;
    const gone = seen()
      .filter(isGone)
      .map(({ node }) => node);
    const { config } = replica.raft;
    const next = nextConfig({ self, current: config, members: members(), up: this.#up(), gone });
    // A change that is not final yet, or no majority: the next look tries again.
    if (next)
      replica.raft.configure(next).catch((error: unknown) => {
        if (!(error instanceof Problem)) throw error;
      });
  }

  #entrust(): void {
    const { self, replica, linkTo, entrust } = this.#ports;
    const { voters } = replica.raft.config;
    const trustees = [...voters, ...this.#up().filter((node) => !voters.includes(node))].slice(
      0,
      Math.max(TRUSTEES, voters.length),
    );
    for (const node of trustees) {
      const link = node === self ? undefined : linkTo(node);
      if (!link || this.#entrusted.has(link)) continue;
      this.#entrusted.add(link);
      entrust(node);
    }
  }

  /** Longest first. */
  #up(): readonly NodeId[] {
    const { self, seen } = this.#ports;
    const others = seen()
      .filter(({ state }) => state === "up")
      .toSorted((a, b) => a.sinceMs - b.sinceMs);
    return [self, ...others.map(({ node }) => node)];
  }
}
