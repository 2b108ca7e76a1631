/** The sides of one part: child processes, one for each number of threads, warmed up, the slow ones sent home. */
import { type Random, randomOf } from "#actors/supervisor/bench/random";
import type { KvQuant } from "#protocol/shard";
import { modelFile } from "../models.ts";
import { type Answer, openSide, type Run, type Side, type SideName, takesThreads } from "../peers-side.ts";
import { bestOf, type Series } from "./figure.ts";
import { inTurns, type Taken, type Task } from "./rounds.ts";

export interface Wanted {
  readonly model: string;
  readonly sides: readonly SideName[];
  readonly threads: readonly number[];
  /** Tokens. */
  readonly context: number;
  readonly streams?: number;
  readonly kvQuant?: KvQuant;
}

/** The sides while `work` lasts; afterwards their processes are ended, whatever came of it. */
export async function withSides<Result>(
  wanted: Wanted,
  work: (sides: readonly Side[]) => Promise<Result>,
): Promise<Result> {
  const { sides: names, threads, model, context, streams = 1, kvQuant } = wanted;
  const file = await modelFile(model);
  const sides: Side[] = [];
  try {
    for (const name of names)
      for (const count of takesThreads(name) ? threads : [1])
        sides.push(
          await openSide(name, {
            model: file,
            threads: count,
            context,
            streams,
            ...(kvQuant && { kvQuant }),
          }),
        );
    return await work(sides);
  } finally {
    for (const side of sides) await side[Symbol.asyncDispose]();
  }
}

/** What a side is asked in a round; drawn anew each time, so that nothing is found in a cache that should be computed. */
export type Ask = (random: Random) => Run;
/** Milliseconds per token, of a run and its answers. */
export type Read = (answers: readonly Answer[], run: Run) => number;

/** Token ids that are words in every vocabulary here: neither bytes nor control tokens. */
const [ID_LEAST, ID_MOST] = [1000, 31_000];

export const promptOf = (length: number, random: Random): number[] =>
  Array.from({ length }, () => ID_LEAST + random.below(ID_MOST - ID_LEAST));

/** What one side is measured doing. `what` tells its tasks apart. */
export interface Work {
  readonly what: string;
  readonly ask: Ask;
  readonly read: Read;
}

const taskName = ({ name, threads }: Side, what: string): string => `${name} ${threads} ${what}`;

/** Every side is asked the same in the same round; what was asked for one kind of work is not asked for another. */
export function taskOf(side: Side, { what, ask, read }: Work): Task {
  const random = randomOf(1, what);
  return {
    name: taskName(side, what),
    measure: async () => {
      const run = ask(random);
      return read(await side.run(run), run);
    },
  };
}

/** Whether the sides hold the same model: greedy answers to one prompt begin alike. */
const [CHECKED_PROMPT, CHECKED_TOKENS] = [12, 8];

/** In words; arithmetic differs between sides, so a few of the first tokens are enough. */
export async function agreementOf(sides: readonly Side[]): Promise<string> {
  const run = { prompts: [promptOf(CHECKED_PROMPT, randomOf(1, "agreement"))], output: CHECKED_TOKENS };
  const counts = new Map<string, number>();
  let first: readonly number[] | undefined;
  for (const side of sides) {
    const [{ ids } = { ids: [] }] = await side.run(run);
    first ??= ids;
    const differs = ids.findIndex((id, i) => id !== first?.[i]);
    const alike = differs < 0 ? ids.length : differs;
    counts.set(side.name, Math.min(alike, counts.get(side.name) ?? alike));
  }
  const others = [...counts].slice(1).map(([name, alike]) => `${alike} of ${name}`);
  return `of ${CHECKED_TOKENS} greedy tokens the first ${others.join(" and ")} are exo's`;
}

/** A first run fills caches, starts threads and wakes the processor; nobody looks at its time. */
export async function warm(sides: readonly Side[], work: Work): Promise<void> {
  await inTurns(
    sides.map((side) => taskOf(side, work)),
    1,
  );
}

const TRIAL_ROUNDS = 2;
/** Fewer threads than the most, slower than their side's best by more than this, will not become the best. */
const TRIAL_SLACK = 1.4;

/**
 * Warms the sides up and leaves out hopeless numbers of threads: for prompts, where they decide and time is long. Answers
 * are measured with every number, as they may be faster with fewer and two runs do not tell.
 */
export async function tried(sides: readonly Side[], trial: Work): Promise<readonly Side[]> {
  await warm(sides, trial);
  const taken = await inTurns(
    sides.map((side) => taskOf(side, trial)),
    TRIAL_ROUNDS,
  );
  const best = (side: Side) => Math.min(...(taken.get(taskName(side, trial.what)) ?? []));
  return sides.filter((side) => {
    const own = sides.filter(({ name }) => name === side.name);
    const isMost = side.threads === Math.max(...own.map(({ threads }) => threads));
    return isMost || best(side) <= Math.min(...own.map(best)) * TRIAL_SLACK;
  });
}

/** Tokens per second of every round. */
export function seriesOf(sides: readonly Side[], taken: Taken, what: string): readonly SideSeries[] {
  return sides.map((side) => ({
    side: side.name,
    of: `${side.name}, ${what}`,
    unit: "tok/s",
    ...(takesThreads(side.name) && { threads: side.threads }),
    values: (taken.get(taskName(side, what)) ?? []).map((ms) => 1000 / ms),
  }));
}

export interface SideSeries extends Series {
  readonly side: SideName;
}

/** Of one side, with its best number of threads. */
export const bestSide = (series: readonly SideSeries[], name: SideName): Series =>
  bestOf(series.filter(({ side }) => side === name));

export const versionsOf = (sides: readonly Side[]): Readonly<Record<string, string>> =>
  Object.fromEntries(sides.map(({ name, version }) => [name, version]));
