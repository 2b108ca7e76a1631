/**
 * Votes that a machine gave in homes which it has left. Raft is safe only if a voter never takes a vote back (section 5.2 of its paper,
 * https://raft.github.io/raft.pdf). A machine that is taken off a home's list and let in again is the same voter under the same
 * identity: it waits until its log holds what was final (`since`), which bounds what it may forget of the log, but nobody can tell it in
 * which terms it voted, as the one it voted for may be cut off from all who let it in. So it remembers by itself.
 */
import type { ClusterId, NodeId } from "#protocol/ids";

export interface Vote {
  readonly term: number;
  readonly votedFor?: NodeId | undefined;
}

export interface LeftVote extends Vote {
  readonly cluster: ClusterId;
}

/**
 * A vote binds for as long as a candidate of its term may still win, which is seconds; a machine changes homes by its user's hand. Each
 * move is one home, and one more of its own between two.
 */
const HOMES_KEPT = 32;

/** What binds in the home that is entered, where `least` is its snapshot's term, and what is to be remembered from now on. */
export function votesAfterMove(
  left: readonly LeftVote[],
  from: LeftVote | undefined,
  to: { readonly cluster: ClusterId; readonly least: number },
): { readonly vote: Vote; readonly left: readonly LeftVote[] } {
  const others = left.filter(({ cluster }) => cluster !== from?.cluster);
  const all = from ? [from, ...others] : others;
  const known = all.find(({ cluster }) => cluster === to.cluster);
  const vote: Vote =
    known && known.term >= to.least
      ? { term: known.term, ...(known.votedFor && { votedFor: known.votedFor }) }
      : { term: to.least };
  return { vote, left: all.filter(({ cluster }) => cluster !== to.cluster).slice(0, HOMES_KEPT) };
}
