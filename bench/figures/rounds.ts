/** Tasks that take turns: every round runs each once, another one first each time, so that a slow minute hits all alike. */
import { Bench } from "tinybench";

/** Measures once: milliseconds per whatever the task's unit is. */
export type Measure = () => Promise<number>;

export interface Task {
  readonly name: string;
  readonly measure: Measure;
}

/** What a task took, round by round. */
export type Taken = ReadonlyMap<string, readonly number[]>;

/**
 * tinybench runs a task's iterations one after another, so a round is a bench of its own, with one iteration of each. The
 * times are those that the tasks report (they lie inside other processes). A task that throws ends it all.
 */
export async function inTurns(
  tasks: readonly Task[],
  rounds: number,
  heard: (round: number) => void = () => {},
): Promise<Taken> {
  const taken = new Map(tasks.map(({ name }) => [name, [] as number[]]));
  for (let round = 0; round < rounds; round++) {
    const bench = new Bench({ iterations: 1, time: 0, warmup: false, throws: true });
    for (const { name, measure } of turned(tasks, round))
      bench.add(name, async () => ({ overriddenDuration: await measure() }), { async: true });
    await bench.run();
    for (const { name, result } of bench.tasks) {
      if (result.state !== "completed") throw new Error(`${name}: ${result.state}`);
      taken.get(name)?.push(result.latency.mean);
    }
    heard(round + 1);
  }
  return taken;
}

/** Who goes first changes with the round. */
export function turned<Each>(all: readonly Each[], round: number): readonly Each[] {
  const first = round % Math.max(1, all.length);
  return [...all.slice(first), ...all.slice(0, first)];
}
