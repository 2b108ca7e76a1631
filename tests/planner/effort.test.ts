/** Planning ends, however many machines there are, and lets others be heard meanwhile: by counted work, as time is another on each machine. */
import { expect, test } from "bun:test";
import type { StrategyWish } from "#actors/planner/home";
import { EFFORT_MAX } from "#actors/planner/placement/search";
import { type Plans, planning } from "#actors/planner/plan";
import { randomFrom, randomHome, randomModel, wishOf } from "./homes.ts";

/** Between two looks at whether it is enough: one set of machines is gone on from, about 10 ms. */
const PIECE_MAX = 2e6;

interface Taken {
  readonly plans: Plans;
  readonly work: number;
  readonly longest: number;
}

/** All machines have to take part, which is the most to look at. */
function taken(seed: number, machines: number, strategy: StrategyWish): Taken {
  const random = randomFrom(seed);
  const home = randomHome(random, machines, true);
  const [model, wish] = [randomModel(random), { ...wishOf(random), streams: 4, minimumNodes: machines }];
  const steps = planning(model, home, wish, strategy);
  let [work, longest] = [0, 0];
  for (;;) {
    const { done, value } = steps.next();
    if (done) return { plans: value, work, longest };
    work += value;
    longest = Math.max(longest, value);
  }
}

test("a plan for sixteen machines and several answers at once ends within the work that it may take, in small pieces, and uses all of them", () => {
  const all = [11, 12].map((seed) => taken(seed, 16, "mixed"));
  expect(
    all.map(({ plans, work, longest }) => ({
      machines: plans.ranked[0]?.loads.length,
      ends: work < EFFORT_MAX + 2 * PIECE_MAX,
      isSpent: work >= EFFORT_MAX,
      inPieces: longest < PIECE_MAX,
    })),
  ).toEqual(all.map(() => ({ machines: 16, ends: true, isSpent: true, inPieces: true })));
});

test("of eight machines every plan is looked at within that work", () => {
  const all = [1, 2, 3].flatMap((seed) =>
    (["pipeline", "mixed"] as const).map((strategy) => taken(seed, 8, strategy)),
  );
  expect(
    all.map(({ plans, work }) => ({ exact: plans.exact, gap: plans.gap, isEnough: work < EFFORT_MAX })),
  ).toEqual(all.map(() => ({ exact: true, gap: 0, isEnough: true })));
});
