/** What no placement may do, over random homes; and that none is better than what the planner finds. */
import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { backMs, hopMs, linkMs } from "#actors/planner/cost";
import { type Home, STRATEGIES, type Way, type Wish } from "#actors/planner/home";
import { lowerBoundMs } from "#actors/planner/placement/bound";
import { machinesOf } from "#actors/planner/placement/placement";
import { type Prediction, predict, shortfalls } from "#actors/planner/placement/predict";
import { search } from "#actors/planner/placement/search";
import { plan } from "#actors/planner/plan";
import type { ModelShape } from "#protocol/model-shape";
import { againstExhaustive, EVERYTHING } from "./compare.ts";
import { randomFrom, randomHome, randomModel, wishOf } from "./homes.ts";

/** A machine at work gives this process a small part of itself. */
setDefaultTimeout(60_000);

interface Case {
  readonly model: ModelShape;
  readonly home: Home;
  readonly wish: Wish;
}

const cases = (most: number) =>
  fc
    .record({
      seed: fc.integer({ min: 0 }),
      machines: fc.integer({ min: 1, max: most }),
      streams: fc.constantFrom(1, 1, 2, 4, 7),
      tied: fc.boolean(),
    })
    .map(({ seed, machines, streams, tied }): Case => {
      const random = randomFrom(seed);
      const home = randomHome(random, machines, random() < 0.5);
      const model = { ...randomModel(random), tied };
      return { model, home, wish: { ...wishOf(random), streams } };
    });

/** What is wrong with a placement; empty: nothing. */
function faults({ model }: Case, { placement, loads, stepMs }: Prediction): readonly string[] {
  const used = machinesOf(placement);
  const covered = placement.flatMap(({ start, end }) =>
    Array.from({ length: end - start }, (_, i) => start + i),
  );
  return [
    ...(covered.join() === model.layers.map((_, layer) => layer).join()
      ? []
      : ["layers are not covered once"]),
    ...(new Set(used).size === used.length ? [] : ["a machine is used twice"]),
    ...(loads.every(({ total, usable }) => total <= usable) ? [] : ["memory is exceeded"]),
    ...(Number.isFinite(stepMs) ? [] : ["it has no time"]),
  ];
}

test("no plan exceeds memory, and each covers every layer once, in any home of up to 10 machines", () => {
  fc.assert(
    fc.property(cases(10), fc.constantFrom(...STRATEGIES), (drawn, strategy) => {
      const { ranked } = plan(drawn.model, drawn.home, drawn.wish, strategy);
      expect(ranked.flatMap((each) => faults(drawn, each))).toEqual([]);
    }),
    { numRuns: 25 },
  );
});

test("no single machine is faster than the first plan", () => {
  fc.assert(
    fc.property(cases(10), (drawn) => {
      const { model, home, wish } = drawn;
      const [best] = search(model, home, wish, EVERYTHING).found;
      const faster = home.machines.flatMap((_, at) => {
        const alone = predict(model, home, wish, [{ machines: [at], start: 0, end: model.layers.length }]);
        const fits = shortfalls(alone).length === 0;
        return fits && !(best && best.stepMs <= alone.stepMs * (1 + 1e-9)) ? [at] : [];
      });
      expect(faster).toEqual([]);
    }),
    { numRuns: 25 },
  );
});

test("pinned machines take part, and no plan has fewer machines than asked for", () => {
  fc.assert(
    fc.property(cases(6), (drawn) => {
      const count = drawn.home.machines.length;
      const wish = { ...drawn.wish, pinned: [count - 1], minimumNodes: Math.min(2, count) };
      const { found } = search(drawn.model, drawn.home, wish, { ...EVERYTHING, slack: 2 });
      const wrong = found.filter(({ placement }) => {
        const used = machinesOf(placement);
        return !used.includes(count - 1) || used.length < wish.minimumNodes;
      });
      expect(wrong).toEqual([]);
    }),
    { numRuns: 25 },
  );
});

test.each([1, 4])(
  "over 100 random homes with %i streams, no plan is better by 1 % than the first",
  (streams) => {
    const random = randomFrom(7);
    const ratios: number[] = [];
    while (ratios.length < 100) ratios.push(againstExhaustive(random, 4, streams) ?? 1);
    expect(ratios.filter((ratio) => !(ratio > 0.999 && ratio < 1.01))).toEqual([]);
  },
);

test("no plan is faster than what is told as the bound of all, also where RDMA joins machines, and the bound is not far from the best", () => {
  const random = randomFrom(77);
  const direct = { latencyMs: 0.05, bytesPerSecond: 5e9 };
  const ratios = Array.from({ length: 60 }, (_, at) => {
    const { machines, ways } = randomHome(random, 2 + (at % 7), at % 2 === 0);
    const joined = (way: Way | undefined) => way && random() < 0.7 && { ...way, direct };
    const home = {
      machines,
      ways: at % 4 === 0 ? ways.map((row) => row.map((way) => joined(way) || way)) : ways,
    };
    const [model, wish] = [randomModel(random), { ...wishOf(random), streams: [1, 4, 2][at % 3] ?? 1 }];
    const [best] = search(model, home, wish, EVERYTHING).found;
    return best ? best.stepMs / lowerBoundMs(model, home, wish, true) : 1;
  });
  const sorted = ratios.toSorted((a, b) => a - b);
  expect([ratios.filter((ratio) => !(ratio >= 1 - 1e-9)), (sorted[30] ?? 0) < 1.5]).toEqual([[], true]);
});

test("a mixed plan is a pipeline of which a group computes a stage, and none of these is better", () => {
  const random = randomFrom(5);
  const ratios: number[] = [];
  while (ratios.length < 40) {
    const ratio = againstExhaustive(random, 4, ratios.length % 2 === 0 ? 1 : 4, "mixed");
    if (ratio !== undefined) ratios.push(ratio);
  }
  const drawn = Array.from({ length: 20 }, () => ({
    home: randomHome(random, 5, true),
    model: randomModel(random),
    wish: wishOf(random),
  }));
  const strategies = drawn.flatMap(({ model, home, wish }) => plan(model, home, wish, "mixed").ranked);
  expect(new Set(strategies.map(({ strategy }) => strategy))).toEqual(new Set(["tensor in pipeline"]));
  expect(ratios.filter((ratio) => !(ratio > 0.999 && ratio < 1.01))).toEqual([]);
});

test("the first rank of a stage sends its hidden state to each of the next, and the last of all tells the first stage of the token", () => {
  const { machines } = randomHome(randomFrom(1), 4);
  const way = (latencyMs: number) => ({ latencyMs, bytesPerSecond: 1e6, measured: true });
  // From each to each; the activations of all take two bytes.
  const ways = machines.map((_, from) =>
    machines.map((_other, to) => (from === to ? undefined : way(10 * from + to))),
  );
  const home = { machines, ways };
  const unlinked = {
    machines,
    ways: ways.map((row, from) => row.map((each, to) => (from === 0 && to === 3 ? undefined : each))),
  };
  const values = 1000;
  expect([
    hopMs(home, [0, 1], [2], values),
    hopMs(home, [0, 1], [2, 3], values),
    hopMs(unlinked, [0, 1], [2, 3], values),
    linkMs(home, [0, 1], [2, 3], values),
    backMs(home, [2, 3], [0, 1]),
  ]).toEqual([2 + 2, 3 + 4, Number.POSITIVE_INFINITY, 4, 31]);
});
