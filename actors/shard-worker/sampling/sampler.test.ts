import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Sampling } from "#protocol/generation";
import { best, nucleus } from "./candidates.ts";
import { hostPasses, logSumExp } from "./passes.ts";
import { Penalties } from "./penalties.ts";
import { createSampler } from "./sampler.ts";
import { scoresOf } from "./scores.ts";
import { seedOf, uniformAt } from "./uniform.ts";

const logitsOf = (...probabilities: readonly number[]) => Float32Array.from(probabilities, Math.log);

/** How often each token comes out of 20,000 draws at different positions. */
function counts(logits: Float32Array, sampling: Sampling): number[] {
  const sampler = createSampler(sampling, 7n);
  const seen = Array.from(logits, () => 0);
  for (let position = 0; position < DRAWS; position++) {
    const id = sampler(logits, position);
    seen[id] = (seen[id] ?? 0) + 1;
  }
  return seen;
}
const DRAWS = 20_000;

/** Pearson's statistic against these probabilities; Infinity if a token came that never may. */
function chiSquare(seen: readonly number[], probabilities: readonly number[]): number {
  return seen.reduce((sum, count, id) => {
    const wanted = (probabilities[id] ?? 0) * DRAWS;
    if (wanted === 0) return count === 0 ? sum : Number.POSITIVE_INFINITY;
    return sum + (count - wanted) ** 2 / wanted;
  }, 0);
}
/** With at most 4 degrees of freedom this is exceeded once in 10,000; the seed is fixed. */
const CHI_SQUARE_MAX = 23.5;

const FIVE = [0.4, 0.3, 0.15, 0.1, 0.05];
const normalised = (weights: readonly number[]) => {
  const total = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / total);
};

test.each([
  ["nothing: the model's own distribution", {}, FIVE],
  ["temperature 2: the square roots", { temperature: 2 }, normalised(FIVE.map(Math.sqrt))],
  ["temperature 0.5: the squares", { temperature: 0.5 }, normalised(FIVE.map((p) => p * p))],
  ["top-k 2", { topK: 2 }, normalised([0.4, 0.3, 0, 0, 0])],
  ["top-p 0.8: as many as reach it", { topP: 0.8 }, normalised([0.4, 0.3, 0.15, 0, 0])],
  ["top-p 0: only the best", { topP: 0 }, [1, 0, 0, 0, 0]],
  ["min-p 0.3: at least that share of the best", { minP: 0.3 }, normalised([0.4, 0.3, 0.15, 0, 0])],
  [
    "filters before temperature",
    { topP: 0.8, minP: 0.5, temperature: 0.5 },
    normalised([0.16, 0.09, 0, 0, 0]),
  ],
  ["min-p after top-p, top-k after both", { topP: 0.9, minP: 0.3, topK: 2 }, normalised([0.4, 0.3, 0, 0, 0])],
] satisfies [string, Sampling, number[]][])("tokens are drawn with %s", (_, sampling, probabilities) => {
  expect(chiSquare(counts(logitsOf(...FIVE), sampling), probabilities)).toBeLessThan(CHI_SQUARE_MAX);
});

test("top-p 0 takes the best even where no token is likely", () => {
  const flat = Float32Array.from({ length: 20_000 }, (_, id) => (id === 777 ? 1 : 0));
  expect(createSampler({ topP: 0 }, 1n)(flat, 0)).toBe(777);
});

test("temperature 0 takes the best, of equals the first", () => {
  const greedy = createSampler({ temperature: 0 }, 1n);
  expect([greedy(logitsOf(0.2, 0.5, 0.3), 0), greedy(logitsOf(0.2, 0.4, 0.4), 0)]).toEqual([1, 1]);
});

test("a token depends on seed and position alone", () => {
  const logits = logitsOf(...FIVE);
  const text = (seed: bigint, positions: readonly number[]) =>
    positions.map((position) => createSampler({}, seed)(logits, position));
  const there = Array.from({ length: 64 }, (_, i) => i);
  const back = there.toReversed();
  expect(text(5n, back).toReversed()).toEqual(text(5n, there));
  expect(text(6n, there)).not.toEqual(text(5n, there));
});

test("negative and large seeds are seeds of their own", () => {
  const seeds = [0n, 1n, -1n, 2n ** 63n, -(2n ** 63n) + 1n, seedOf("request-1"), seedOf("request-2")];
  expect(new Set(seeds.map((seed) => uniformAt(seed, 3))).size).toBe(seeds.length);
});

test("uniform numbers are uniform over positions and over seeds", () => {
  const bins = (at: (i: number) => number) => {
    const seen = [0, 0, 0, 0, 0];
    for (let i = 0; i < DRAWS; i++) {
      const bin = Math.floor(at(i) * 5);
      seen[bin] = (seen[bin] ?? 0) + 1;
    }
    return chiSquare(seen, [0.2, 0.2, 0.2, 0.2, 0.2]) < CHI_SQUARE_MAX;
  };
  expect([bins((i) => uniformAt(3n, i)), bins((i) => uniformAt(BigInt(i), 3))]).toEqual([true, true]);
});

/** Few different values, so that ties happen. */
const someLogits = fc
  .array(fc.integer({ min: -40, max: 40 }), { minLength: 1, maxLength: 60 })
  .map((values) => Float32Array.from(values, (value) => value / 4));

test("the best few are those that sorting finds", () => {
  fc.assert(
    fc.property(someLogits, fc.integer({ min: 1, max: 70 }), (logits, count) => {
      const sorted = [...logits.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b);
      expect(best(logits, undefined, count)).toEqual(sorted.slice(0, count));
    }),
  );
});

test("a nucleus is the shortest list of best tokens that reaches its share", () => {
  fc.assert(
    fc.property(someLogits, fc.integer({ min: 1, max: 999 }), (logits, thousandths) => {
      const share = thousandths / 1000;
      const normaliser = logSumExp(logits, logits[hostPasses.argmax(logits)] ?? 0, hostPasses);
      const ids = nucleus(logits, { normaliser, share }, hostPasses);
      const mass = (count: number) =>
        ids.slice(0, count).reduce((sum, id) => sum + Math.exp((logits[id] ?? 0) - normaliser), 0);
      expect(ids).toEqual(best(logits, undefined, ids.length));
      expect(mass(ids.length) >= share - 1e-9 && (ids.length === 1 || mass(ids.length - 1) < share)).toBe(
        true,
      );
    }),
  );
});

test("scores are natural logarithms of probabilities, rivals falling", () => {
  const { top, ...chosen } = scoresOf(logitsOf(0.1, 0.6, 0.3), { id: 2, count: 2 });
  expect([chosen, top]).toEqual([
    { id: 2, logprob: expect.closeTo(Math.log(0.3), 6) },
    [
      { id: 1, logprob: expect.closeTo(Math.log(0.6), 6) },
      { id: 2, logprob: expect.closeTo(Math.log(0.3), 6) },
    ],
  ]);
});

test("a token that was ruled out still has a finite score", () => {
  expect(scoresOf(Float32Array.of(0, Number.NEGATIVE_INFINITY), { id: 1, count: 0 })).toEqual({
    id: 1,
    logprob: -9999,
    top: [],
  });
});

test.each([
  [[0, Number.NaN], "the model's logit of token 1 is NaN"],
  [[0, Number.POSITIVE_INFINITY], "the model's logit of token 1 is Infinity"],
  [[Number.NEGATIVE_INFINITY], "the model rules every token out"],
])("logits %j are refused", (values, message) => {
  expect(() => hostPasses.argmax(Float32Array.from(values))).toThrow(message);
});

const FLOAT32_MAX = 3.4028234663852886e38;

function penalised(
  sampling: Sampling,
  prompt: readonly number[],
  said: readonly number[],
  logits: readonly number[],
) {
  const penalties = new Penalties(sampling, prompt);
  for (const id of said) penalties.said(id);
  const changed = Float32Array.from(logits);
  penalties.apply(changed);
  return [...changed];
}

test.each([
  ["a bias is added", { logitBias: { "1": 5, "2": -100 } }, [1, 7, -97]],
  ["repetition weighs down prompt and answer, once each", { repetitionPenalty: 2 }, [0.5, 1, 3]],
  [
    "a tiny repetition penalty makes no infinity of a logit",
    { repetitionPenalty: 1e-40 },
    [FLOAT32_MAX, FLOAT32_MAX, 3],
  ],
  ["presence counts what was generated, once", { presencePenalty: 0.5 }, [1, 1.5, 3]],
  ["frequency counts it each time", { frequencyPenalty: 0.5 }, [1, 1, 3]],
  [
    "bias comes first, then repetition, then the others",
    { logitBias: { "1": -6 }, repetitionPenalty: 2, presencePenalty: 1, frequencyPenalty: 1 },
    [0.5, -11, 3],
  ],
  [
    "neutral values change nothing",
    { repetitionPenalty: 1, presencePenalty: 0, frequencyPenalty: 0 },
    [1, 2, 3],
  ],
] satisfies [string, Sampling, number[]][])("%s", (_, sampling, expected) => {
  expect(penalised(sampling, [0], [1, 1], [1, 2, 3])).toEqual(expected);
});
