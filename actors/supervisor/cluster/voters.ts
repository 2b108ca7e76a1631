/** Who should vote on the cluster's changes: a pure choice of whoever leads, one step at a time. */
import type { NodeId } from "#protocol/ids";
import type { RaftConfig } from "#protocol/raft";

/** Three survive the loss of one; five are worth their messages only in a large home. */
const VOTERS = 3;
const VOTERS_LARGE = 5;
const LARGE = 16;

export interface Electorate {
  readonly self: NodeId;
  readonly current: RaftConfig;
  readonly members: readonly NodeId[];
  /** Members that are up, this node included, longest first. */
  readonly up: readonly NodeId[];
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
function nextVoters({ self, current: { voters }, members, up, gone }: Electorate): readonly NodeId[] {
  const without = (node: NodeId) => voters.filter((each) => each !== node);
  const stranger = voters.find((node) => !members.includes(node));
  if (stranger) return without(stranger);
  const most = votersAtMost(members.length);
  const surplus =
    voters.length > most
      ? (voters.find((node) => gone.includes(node)) ?? lastOther(voters, self))
      : undefined;
  if (surplus) return without(surplus);
  const candidates = up.filter((node) => !voters.includes(node) && !gone.includes(node));
  const lost = voters.find((node) => gone.includes(node) && node !== self);
  if (lost && candidates.length > 0 && voters.length % 2 === 1 && voters.length > 1) return without(lost);
  const [next] = candidates;
  const needed = voters.length % 2 === 1 ? 2 : 1;
  if (!next || candidates.length < needed || voters.length + needed > most) return voters;
  return [...voters, next];
}

/** Of two nodes one votes: with two votes the loss of either would stop both. */
function votersAtMost(members: number): number {
  if (members < VOTERS) return 1;
  return members > LARGE ? VOTERS_LARGE : VOTERS;
}

const lastOther = (voters: readonly NodeId[], self: NodeId) => voters.findLast((node) => node !== self);
