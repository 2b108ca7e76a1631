/** What a node's part in a replicated log touches, and what it can be. */
import type { NodeId } from "#protocol/ids";
import type { RaftMessage } from "#protocol/raft";
import type { Clock } from "../clock.ts";
import type { Replicated } from "./final.ts";
import type { RaftStore } from "./log.ts";

export interface RaftPorts {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly store: RaftStore;
  readonly send: (to: NodeId, message: RaftMessage) => void;
  readonly state: Replicated;
  /**
   * What was final when this node was let in. Until its log is as long it neither votes nor stands: it may have been a voter before it
   * was forgotten, and both who lags and the beginning of the log still count on it as that.
   */
  readonly since?: number | undefined;
  /** Role, leader, term or configuration is another. */
  readonly changed: () => void;
}

/** `asking`: whether an election could be won, before one is held. */
export type Role = "follower" | "asking" | "candidate" | "leader";

/** A leader is missed after 1 to 2 seconds: well above a busy machine's pauses, well below five seconds in all. */
export const ELECTION_MIN_MS = 1000;
const ELECTION_MAX_MS = 2000;
export const HEARTBEAT_MS = 250;
/** A takeover raises term and index by so much: above whatever the voters that are gone, and come back after all, may have reached. */
export const TAKEOVER = 1_000_000_000;

/** One that is known to have ended is missed as soon as the others will have heard of that. */
const ENDED_MIN_MS = 50;
const ENDED_MAX_MS = 350;

/** How long a leader is missed before this node stands: each time another, so that two seldom stand at once. */
export function electionMs(random: () => number, hasEnded = false): number {
  const [min, max] = hasEnded ? [ENDED_MIN_MS, ENDED_MAX_MS] : [ELECTION_MIN_MS, ELECTION_MAX_MS];
  return min + random() * (max - min);
}
