/** What no honest member says in the log's messages: Raft believes its members, so that it is found here before it gets there. */
import { TAKEOVER } from "#actors/runtime/raft/ports";
import { authorityKey, followed, isWhole } from "#actors/runtime/security/authority";
import { isSigned } from "#actors/runtime/security/member-list";
import type { Authority } from "#protocol/cluster";
import { Problem } from "#protocol/problem";
import type { RaftMessage } from "#protocol/raft";
import { decodeState } from "./state.ts";

/** More takeovers and elections than a home sees in its life, little enough that nobody can use up the terms there are. */
const STEP_MAX = 1000 * TAKEOVER;
/**
 * Who does not vote, as a worker, knows a later term only of who leads then, of whom this node hears as well. More elections than there
 * are between two of its answers, and no flood of them uses up the terms.
 */
const STEP_OF_LEARNER_MAX = 1000;

interface Known {
  /** Whose signature counts here. */
  readonly authority: Authority;
  readonly term: number;
  readonly lastIndex: number;
  /** Whether who says it votes. */
  readonly votes: boolean;
}

/** Who took this node's place while it was cut off answers by its own term; it says itself that it leads, which counts. */
export const mayHaveTakenOver = ({ type, term }: RaftMessage, own: number): boolean =>
  type === "Raft.AppendReply" && term >= own + TAKEOVER && term <= own + STEP_MAX;

/** Why the message is passed over; undefined for one that may be right. */
export function lieIn(
  message: RaftMessage,
  { authority, term, lastIndex, votes }: Known,
): string | undefined {
  const isAnswer = message.type === "Raft.AppendReply" && !votes;
  if (message.term > term + (isAnswer ? STEP_OF_LEARNER_MAX : STEP_MAX))
    return `term ${message.term} is beyond any that follows ${term}`;
  if (message.type !== "Raft.Install") return undefined;
  const { index, state } = message.snapshot;
  if (index > lastIndex + STEP_MAX) return `entry ${index} is beyond any that follows ${lastIndex}`;
  try {
    const { list, authority: theirs } = decodeState(state, authority);
    // A snapshot may be from before the newest key, of which this node heard otherwise; or what the lost machines knew is gone.
    const isKnown = followed(authority, theirs) ?? followed(theirs, authority);
    if (!isKnown || !isWhole(theirs)) return "its key is not one that the cluster's key signed for";
    return isSigned(list, authorityKey(theirs.pem))
      ? undefined
      : "its member list is not signed by the cluster's key";
  } catch (error) {
    if (error instanceof Problem) return error.message;
    throw error;
  }
}
