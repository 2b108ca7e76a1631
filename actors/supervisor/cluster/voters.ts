/** Who should vote on the cluster's changes: a pure choice of whoever leads, one step at a time. */
import type { NodeId } from "#protocol/ids";
import type { RaftConfig } from "#protocol/raft";

/** Three survive the loss of one; five are worth their messages only in a large home. */
const VOTERS = 3;
const VOTERS_LARGE = 5;
const LARGE = 16;
/** Of so many that vote one that goes does so after another took a seat: `nextVoters` says why. */
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
function nextVoters({
  self,
  current: { voters },
  members,
  workers,
  up,
  answering,
  gone,
}: Electorate): readonly NodeId[] {
  const without = (node: NodeId) => voters.filter((each) => each !== node);
  const strangers = voters.filter((node) => !members.includes(node) || workers.includes(node));
  // Of two that go the one that is away: the votes of those that are left have to agree on it.
  const stranger = strangers.find((node) => !answering.includes(node)) ?? strangers[0];
  const candidates = up.filter((node) => !voters.includes(node) && !gone.includes(node));
  const [heir] = candidates;
  // One that is still here votes until another does in its place, so that a majority outlives the death of any one; of five as well
  // when one goes first, and six are more than a configuration holds. Without the only one nobody could agree on the next.
  const waits = stranger && members.includes(stranger) && SEATED_FIRST.has(voters.length);
  if (waits && heir) return [...voters, heir];
  if (stranger && isMajority(without(stranger), answering)) return without(stranger);
  const lost = voters.find((node) => gone.includes(node) && node !== self);
  const most = votersAtMost(members.length - workers.length);
  const surplus = !stranger && voters.length > most ? (lost ?? lastOther(voters, self)) : undefined;
  if (surplus) return without(surplus);
  const [next] = candidates;
  // Also beside a stranger that cannot be spared: it goes when the dead have gone.
  if (lost && next && voters.length % 2 === 1 && voters.length > 1) return without(lost);
  if (stranger) return voters;
  const needed = voters.length % 2 === 1 ? 2 : 1;
  if (!next || candidates.length < needed || voters.length + needed > most) return voters;
  return [...voters, next];
}

const isMajority = (voters: readonly NodeId[], answering: readonly NodeId[]): boolean =>
  voters.filter((node) => answering.includes(node)).length * 2 > voters.length;

/** Of two nodes one votes: with two votes the loss of either would stop both. */
function votersAtMost(members: number): number {
  if (members < VOTERS) return 1;
  return members > LARGE ? VOTERS_LARGE : VOTERS;
}

const lastOther = (voters: readonly NodeId[], self: NodeId) => voters.findLast((node) => node !== self);
