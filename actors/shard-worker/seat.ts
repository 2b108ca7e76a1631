/** Where one worker is in its group: whose layers it shares, from whom passes come to it, and to whom they go on. Pure. */
import type { Address } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { Group } from "#protocol/shard";

export interface Seat {
  /** Which of how many stages: places in the row, each one worker or several that share its layers. */
  readonly stage: number;
  readonly stages: number;
  /** Which of its stage's workers, and all of these. */
  readonly rank: number;
  readonly team: readonly Address[];
  /** Those of the first stage. */
  readonly first: readonly Address[];
  /** From whom passes come: the worker that drives begins them, and the first rank of a stage hands them on. */
  readonly before: Address;
  /**
   * To whom this one hands them on. All ranks have the same hidden state, so the first sends it alone, to every rank of the next stage:
   * by way of one of them it would be on its way twice, for each token, and a token's state is a few kilobytes.
   */
  readonly next: readonly Address[];
  /** The last worker of the last stage: it begins passes, and samples. */
  readonly driver: Address;
}

/** Throws Problem `invalid` where the stages' sizes are not those of so many workers. */
export function seatOf({ stages: workers, stage: place, ranks }: Group): Seat {
  const teams = teamsOf(workers, ranks);
  const stage = teams.findIndex(({ from, team }) => place >= from && place < from + team.length);
  const own = teams[stage];
  const driver = workers.at(-1);
  const [first] = teams;
  if (!own || !first || driver === undefined)
    throw new Problem("invalid", `worker ${place} is none of a group of ${workers.length}`, {
      param: "stage",
    });
  const rank = place - own.from;
  return {
    stage,
    stages: teams.length,
    rank,
    team: own.team,
    first: first.team,
    before: teams[stage - 1]?.team[0] ?? driver,
    next: (rank === 0 && teams[stage + 1]?.team) || [],
    driver,
  };
}

interface Team {
  /** Place of the first of them in the group. */
  readonly from: number;
  readonly team: readonly Address[];
}

function teamsOf(workers: readonly Address[], ranks = workers.map(() => 1)): readonly Team[] {
  let from = 0;
  const teams = ranks.map((count) => {
    const team = workers.slice(from, from + count);
    from += count;
    return { from: from - count, team };
  });
  if (from === workers.length) return teams;
  throw new Problem("invalid", `stages of ${ranks.join(" and ")} workers are not ${workers.length}`, {
    param: "ranks",
  });
}
