/** Changes as whoever leads makes them: signed, proposed, and made again when another's came first. */
import type { Clock } from "#actors/runtime/clock";
import type { Epoch } from "#actors/runtime/raft/proposals";
import type { Identity } from "#actors/runtime/security/identity";
import { signMemberList } from "#actors/runtime/security/member-list";
import type { ClusterMessage, MemberChange, MemberList } from "#protocol/cluster";
import { Problem } from "#protocol/problem";
import { freshDiscoveryKey } from "./genesis.ts";
import { changed } from "./member-changes.ts";
import { notLeading, type Replica } from "./replica.ts";
import { encodeCommand } from "./state.ts";

/** Attempts at a list that another's change came before. */
const TRIES = 4;

export class Making {
  readonly #replica: Replica;
  readonly #clock: Clock;
  readonly #clusterKey: () => Identity | undefined;
  /** One change of the list after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(replica: Replica, clock: Clock, clusterKey: () => Identity | undefined) {
    this.#replica = replica;
    this.#clock = clock;
    this.#clusterKey = clusterKey;
  }

  /** Resolves when a majority agreed; throws Problem, `notLeading` where this node does not lead. */
  make(message: ClusterMessage): Promise<Epoch> {
    if (message.type === "Cluster.Propose") return this.#replica.propose(message.command);
    if (message.type !== "Cluster.Change")
      return Promise.reject(new Problem("invalid", `${message.type} is no change`));
    const made = this.#last.then(() => this.#relist(message.change));
    this.#last = made.catch(() => {}); // Told to who asked; the next change does not depend on it.
    return made;
  }

  async #relist(change: MemberChange): Promise<Epoch> {
    for (let tries = 1; ; tries++) {
      const list = this.#next(change);
      if (!list) return { term: this.#replica.raft.term, index: this.#replica.raft.committed };
      try {
        const epoch = await this.#replica.propose(encodeCommand({ type: "list", list }));
        if (change.type === "forget") await this.#rotate();
        return epoch;
      } catch (error) {
        const isOvertaken = error instanceof Problem && error.message.startsWith("member list");
        if (!isOvertaken || tries >= TRIES) throw error;
      }
    }
  }

  /** Signed; undefined when the change changes nothing. */
  #next(change: MemberChange): MemberList | undefined {
    const { leads, state } = this.#replica;
    if (!leads || !state) throw notLeading();
    const key = this.#clusterKey();
    if (!key) throw keyless();
    const next = changed(state.list, change, this.#clock.epochSeconds());
    return next && signMemberList(next, key);
  }

  /** Who is forgotten knows the key that beacons are sealed with. */
  async #rotate(): Promise<void> {
    const last = this.#replica.state?.discoveryKeys.at(-1)?.number ?? 0;
    await this.#replica.propose(encodeCommand({ type: "rotate", key: freshDiscoveryKey(last + 1) }));
  }
}

const keyless = (): Problem =>
  new Problem("forbidden", "the machine that leads does not hold the cluster's key yet", {
    remedy: "try again in a moment",
  });
