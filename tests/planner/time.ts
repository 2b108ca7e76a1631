/** `bun tests/planner/time.ts`: how long planning takes, by machines, and how far from the bound a search that is not exact may be. */
import { search } from "#actors/planner/placement/search";
import { EVERYTHING } from "./compare.ts";
import { randomFrom, randomHome, randomModel, wishOf } from "./homes.ts";

for (const [count, streams] of [
  [5, 1],
  [8, 1],
  [8, 4],
  [16, 1],
  [16, 4],
  [20, 4],
  [32, 1],
] as const) {
  const random = randomFrom(11);
  const [times, gaps]: [number[], number[]] = [[], []];
  for (let draw = 0; draw < 20; draw++) {
    const home = randomHome(random, count, draw % 2 === 0);
    const [model, wish] = [randomModel(random), { ...wishOf(random), streams }];
    const startedMs = performance.now();
    const { gap } = search(model, home, wish, EVERYTHING);
    times.push(performance.now() - startedMs);
    gaps.push(gap);
  }
  const most = (values: readonly number[]) => Math.max(...values).toFixed(2);
  const middle = (values: readonly number[]) =>
    (values.toSorted((a, b) => a - b)[values.length / 2] ?? 0).toFixed(2);
  process.stdout.write(
    `${count} machines, ${streams} streams: median ${middle(times)} ms, most ${most(times)} ms; gap to the bound median ${middle(gaps)}, most ${most(gaps)}\n`,
  );
}
