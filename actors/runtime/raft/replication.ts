/** A leader's side: what each follower holds, what it is sent, and what a majority holds. */
import type { NodeId } from "#protocol/ids";
import { ENTRIES_MAX, Raft as Message, type RaftMessage } from "#protocol/raft";
import type { Clock } from "../clock.ts";
import type { RaftLog } from "./log.ts";

/** A snapshot that was not acknowledged for so long is sent again. */
const INSTALL_AGAIN_MS = 2000;

interface Follower {
  /** The next entry to send. */
  next: number;
  /** The last entry known to be the same there. */
  match: number;
  /** What was final when it was spoken to last. */
  told: number;
  heardMs: number;
  installMs: number;
}

/** One term of one leader. */
export class Replication {
  readonly #term: number;
  readonly #log: RaftLog;
  readonly #clock: Clock;
  readonly #send: (to: NodeId, message: RaftMessage) => void;
  readonly #startMs: number;
  readonly #followers = new Map<NodeId, Follower>();

  constructor(term: number, log: RaftLog, clock: Clock, send: (to: NodeId, message: RaftMessage) => void) {
    this.#term = term;
    this.#log = log;
    this.#clock = clock;
    this.#send = send;
    this.#startMs = clock.nowMs();
  }

  /** Sends what a follower lacks, or an empty message that says who leads: in time it answers that it holds what is final now. */
  feed(to: NodeId, commit: number): void {
    this.#of(to).told = commit;
    this.tell(to, commit);
  }

  /** The same, as soon as more is final: whether it keeps up is asked with the next beat. */
  tell(to: NodeId, commit: number): void {
    const follower = this.#of(to);
    const prevIndex = follower.next - 1;
    const prevTerm = this.#log.termAt(prevIndex);
    if (prevTerm === undefined) {
      this.#install(to, follower);
      return;
    }
    const entries = this.#log.from(follower.next, ENTRIES_MAX);
    follower.next += entries.length;
    this.#send(to, Message.Append({ term: this.#term, prevIndex, prevTerm, entries, commit }));
  }

  /** Takes a follower's answer; true when there is more to send to it. */
  heard(from: NodeId, ok: boolean, index: number): boolean {
    const follower = this.#of(from);
    follower.heardMs = this.#clock.nowMs();
    if (ok) {
      follower.match = Math.max(follower.match, index);
      follower.next = Math.max(follower.next, follower.match + 1);
      follower.installMs = Number.NEGATIVE_INFINITY;
    } else {
      // Less than it once said: it lost its log, or began anew as a machine does that was forgotten and let in again.
      follower.match = Math.min(follower.match, index);
      follower.next = Math.max(follower.match + 1, Math.min(follower.next - 1, index + 1));
    }
    return follower.next <= this.#log.lastIndex;
  }

  /** Whether the node holds that entry, or else what was final when it was spoken to last. */
  hasTaught(node: NodeId, index?: number): boolean {
    const { match, told } = this.#of(node);
    return match >= (index ?? told);
  }

  /** The highest entry that a majority of `voters` holds, `self` all of its log. */
  majorityMatch(voters: readonly NodeId[], self: NodeId): number {
    const matches = voters.map((node) => (node === self ? this.#log.lastIndex : this.#of(node).match));
    return matches.sort((a, b) => b - a)[Math.floor(voters.length / 2)] ?? 0;
  }

  /** Whether a majority of `voters`, `self` included, was heard of within `ms`. */
  majorityHeard(voters: readonly NodeId[], self: NodeId, ms: number): boolean {
    const since = this.#clock.nowMs() - ms;
    return (
      voters.filter((node) => node === self || this.#of(node).heardMs >= since).length * 2 > voters.length
    );
  }

  /** The one of `nodes` that holds most. */
  furthest(nodes: readonly NodeId[]): NodeId | undefined {
    return nodes.toSorted((a, b) => this.#of(b).match - this.#of(a).match)[0];
  }

  #install(to: NodeId, follower: Follower): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs - follower.installMs < INSTALL_AGAIN_MS) return;
    follower.installMs = nowMs;
    this.#send(to, Message.Install({ term: this.#term, snapshot: this.#log.snapshot }));
  }

  /** A new follower counts as heard of when leadership began, so that it gets one election timeout to answer. */
  #of(node: NodeId): Follower {
    const known = this.#followers.get(node);
    if (known) return known;
    const made = {
      next: this.#log.lastIndex + 1,
      match: 0,
      told: Number.POSITIVE_INFINITY,
      heardMs: this.#startMs,
      installMs: Number.NEGATIVE_INFINITY,
    };
    this.#followers.set(node, made);
    return made;
  }
}
