/** Whether a vote is given: sections 5.2 and 5.4.1 of the paper, and 9.6 of the thesis for votes that only ask. */
import type { NodeId } from "#protocol/ids";
import { Raft as Message, type RaftMessage } from "#protocol/raft";
import type { RaftLog } from "./log.ts";

interface Voter {
  readonly term: number;
  readonly votedFor: NodeId | undefined;
  readonly log: RaftLog;
  /** It leads, or heard of a leader just now. */
  readonly content: boolean;
}

/** `voter` has entered the vote's term already, unless the vote only asks. */
export function grants(vote: ReturnType<(typeof Message)["Vote"]>, from: NodeId, voter: Voter): boolean {
  const { lastTerm, lastIndex } = voter.log;
  const holdsAll = vote.lastTerm > lastTerm || (vote.lastTerm === lastTerm && vote.lastIndex >= lastIndex);
  if (!holdsAll) return false;
  if (vote.pre) return vote.term > voter.term && !voter.content;
  return vote.term === voter.term && (voter.votedFor === undefined || voter.votedFor === from);
}

/** Pre-votes and their grants name a term that nobody has entered yet. */
export const isQuestion = (message: RaftMessage): boolean =>
  (message.type === "Raft.Vote" && message.pre) ||
  (message.type === "Raft.VoteReply" && message.pre && message.granted);

/** The request for a vote by a node whose log is `log`. */
export const request = (term: number, { lastIndex, lastTerm }: RaftLog, pre: boolean) =>
  Message.Vote({ term, lastIndex, lastTerm, pre });
