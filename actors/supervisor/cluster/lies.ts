/** What no honest member says in the log's messages: Raft believes its members, so that it is found here before it gets there. */
import { TAKEOVER } from "#actors/runtime/raft/ports";
import { isSigned } from "#actors/runtime/security/member-list";
import { Problem } from "#protocol/problem";
import type { RaftMessage } from "#protocol/raft";
import { decodeState } from "./state.ts";

/** More takeovers and elections than a home sees in its life, little enough that nobody can use up the terms there are. */
const STEP_MAX = 1000 * TAKEOVER;

interface Known {
  /** Raw Ed25519, which signs member lists. */
  readonly clusterKey: Uint8Array;
  readonly term: number;
  readonly lastIndex: number;
}

/** Why the message is passed over; undefined for one that may be right. */
export function lieIn(message: RaftMessage, { clusterKey, term, lastIndex }: Known): string | undefined {
  if (message.term > term + STEP_MAX) return `term ${message.term} is beyond any that follows ${term}`;
  if (message.type !== "Raft.Install") return undefined;
  const { index, state } = message.snapshot;
  if (index > lastIndex + STEP_MAX) return `entry ${index} is beyond any that follows ${lastIndex}`;
  try {
    const { list } = decodeState(state);
    return isSigned(list, clusterKey) ? undefined : "its member list is not signed by the cluster's key";
  } catch (error) {
    if (error instanceof Problem) return error.message;
    throw error;
  }
}
