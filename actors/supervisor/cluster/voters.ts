/** Who should vote on the cluster's changes: a pure choice of whoever leads, one step at a time. */
import type { NodeId } from "#protocol/ids";
import type { RaftConfig } from "#protocol/raft";

/** Three survive the loss of one; five are worth their messages only in a large home. */
const VOTERS = 3;
const VOTERS_LARGE = 5;
const LARGE = 16;
/** Of so many that vote one that goes does so after another took a seat: `withoutStranger` says why. */
const SEATED_FIRST = new Set([1, VOTERS]);

export interface Electorate {
  readonly self: NodeId;
  readonly current: RaftConfig;
  readonly members: readonly NodeId[];
  /** Members that never vote. */
  readonly workers: readonly NodeId[];
  /** Members that are up and may vote, this node included, longest first. */
  readonly up: readonly NodeId[];
  /** Whoever is up, workers as well: they confirm what is agreed until they vote no more. */
  readonly answering: readonly NodeId[];
  /** Members that are missed for so long that another should vote in their place. */
  readonly gone: readonly NodeId[];
}

/** The next configuration, at most one voter away from the present one; undefined when it is right as it is. */
export function nextConfig(electorate: Electorate): RaftConfig | undefined {
  const { current, members } = electorate;
  const voters = nextVoters(electorate);
  const learners = members.filter((node) => !voters.includes(node));
  const same = new Set([...voters, "|", ...learners]);
  const before = new Set([...current.voters, "|", ...current.learners]);
  const moved = voters.length !== current.voters.length || same.symmetricDifference(before).size > 0;
  return moved ? { voters: [...voters], learners } : undefined;
}

/** An even number of voters survives no more losses than one less, so that voters come and go in pairs. */
function nextVoters(electorate: Electorate): readonly NodeId[] {
  const { self, current, members, workers, up, gone } = electorate;
  const { voters } = current;
  const without = (node: NodeId) => voters.filter((each) => each !== node);
  const candidates = up.filter((node) => !voters.includes(node) && !gone.includes(node));
  const stranger = strangerOf(electorate);
  const left = stranger === undefined ? undefined : withoutStranger(stranger, electorate, candidates[0]);
  if (left) return left;
  const lost = voters.find((node) => gone.includes(node) && node !== self);
  const most = votersAtMost(members.length - workers.length);
  const surplus = !stranger && voters.length > most ? (lost ?? lastOther(voters, self)) : undefined;
  if (surplus) return without(surplus);
  const [next] = candidates;
  // Also beside a stranger that cannot be spared: it goes when the dead have gone.
  if (lost && next && voters.length % 2 === 1 && voters.length > 1) return without(lost);
  const needed = voters.length % 2 === 1 ? 2 : 1;
  if (stranger || !next || candidates.length < needed || voters.length + needed > most) return voters;
  return [...voters, next];
}

/** One that should vote no more. Of two that go the one that is away: the votes of those that are left have to agree on it. */
function strangerOf({ current, members, workers, answering }: Electorate): NodeId | undefined {
  const strangers = current.voters.filter((node) => !members.includes(node) || workers.includes(node));
  return strangers.find((node) => !answering.includes(node)) ?? strangers[0];
}

/**
 * The step by which it goes; undefined while those left could not agree without it. One that is still here votes until another does in
 * its place, so that a majority outlives the death of any one; of five as well when one goes first, and six are more than a configuration
 * holds. Without the only one nobody could agree on the next.
 */
function withoutStranger(
  stranger: NodeId,
  { current: { voters }, members, answering }: Electorate,
  heir: NodeId | undefined,
): readonly NodeId[] | undefined {
  if (heir && members.includes(stranger) && SEATED_FIRST.has(voters.length)) return [...voters, heir];
  const left = voters.filter((each) => each !== stranger);
  return isMajority(left, answering) ? left : undefined;
}

const isMajority = (voters: readonly NodeId[], answering: readonly NodeId[]): boolean =>
  voters.filter((node) => answering.includes(node)).length * 2 > voters.length;

/** Of two nodes one votes: with two votes the loss of either would stop both. */
function votersAtMost(members: number): number {
  if (members < VOTERS) return 1;
  return members > LARGE ? VOTERS_LARGE : VOTERS;
}

const lastOther = (voters: readonly NodeId[], self: NodeId) => voters.findLast((node) => node !== self);
