import { expect, test } from "bun:test";
import fc from "fast-check";
import { builtLibrary } from "#ffi/built-library";
import type { Sampling } from "#protocol/generation";
import { nativePasses } from "./native-passes.ts";
import { hostPasses, logSumExp, type Passes } from "./passes.ts";
import { createSampler } from "./sampler.ts";
import { scoresOf } from "./scores.ts";

const native = nativePasses(builtLibrary().native);

/** Normally distributed with a few likely tokens and many ties, as a model's are; the same each time. */
function logitsOf(count: number, seed = 1): Float32Array {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 1) / 2 ** 32;
  };
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  const logits = Float32Array.from({ length: count }, () => Math.round(normal() * 3 * 64) / 64);
  for (let i = 0; i < 6; i++) logits[Math.floor(uniform() * count)] = 10 + i;
  return logits;
}

const VOCABULARY = 49_152;

test.each([
  ["the model's own distribution", {}],
  ["a low temperature", { temperature: 0.3 }],
  ["a high temperature", { temperature: 3 }],
  ["top-p", { topP: 0.9, temperature: 0.7 }],
  ["a top-p that takes in almost all", { topP: 0.9999 }],
  ["top-k", { topK: 40 }],
  ["a top-k of more than the kernel keeps", { topK: 3000 }],
  ["min-p", { minP: 0.01 }],
  ["all of them", { topP: 0.95, minP: 0.02, topK: 20, temperature: 0.8 }],
  ["temperature 0", { temperature: 0 }],
] satisfies [string, Sampling][])(
  "the kernels choose the tokens that the host chooses: %s",
  (_, sampling) => {
    const chosen = (passes: Passes) =>
      Array.from({ length: 20 }, (_, i) => {
        const sampler = createSampler(sampling, BigInt(i), passes);
        return sampler(logitsOf(VOCABULARY + (i % 3), i), i);
      });
    expect(chosen(native)).toEqual(chosen(hostPasses));
  },
);

test("scores are the host's to the last digits", () => {
  for (const seed of [1, 2, 3]) {
    const logits = logitsOf(VOCABULARY, seed);
    logits[7] = Number.NEGATIVE_INFINITY;
    const [found, wanted] = [native, hostPasses].map((passes) =>
      scoresOf(logits, { id: 7 * seed, count: 20 }, passes),
    );
    const all = (scored: typeof found) => [scored, ...(scored?.top ?? [])].map((score) => score?.id);
    const numbers = (scored: typeof found) =>
      [scored, ...(scored?.top ?? [])].map((score) => score?.logprob ?? 0);
    const away = numbers(found).map((logprob, i) => Math.abs(logprob - (numbers(wanted)[i] ?? 0)));
    expect([all(found), Math.max(...away) < 1e-12]).toEqual([all(wanted), true]);
  }
});

/** Few different values, so that ties happen, at odd lengths and places in memory. */
const someLogits = fc
  .tuple(fc.array(fc.integer({ min: -40, max: 40 }), { minLength: 1, maxLength: 300 }), fc.nat({ max: 7 }))
  .map(([values, offset]) => {
    const memory = new Float32Array(values.length + offset);
    memory.set(
      values.map((value) => value / 4),
      offset,
    );
    return memory.subarray(offset);
  });

test("every pass is the host's for rows of any length at any place", () => {
  fc.assert(
    fc.property(
      someLogits,
      fc.integer({ min: 1, max: 70 }),
      fc.integer({ min: -45, max: 45 }),
      (logits, k, least) => {
        const of = (passes: Passes) => [
          passes.argmax(logits),
          passes.top(logits, k),
          passes.atLeast(logits, least / 4),
        ];
        expect(of(native)).toEqual(of(hostPasses));
        const sum = (passes: Passes) => logSumExp(logits, logits[passes.argmax(logits)] ?? 0, passes);
        expect(Math.abs(sum(native) - sum(hostPasses))).toBeLessThan(
          1e-13 * Math.max(1, Math.abs(sum(hostPasses))),
        );
      },
    ),
  );
});

test.each([
  [[0, Number.NaN], "the model's logit of token 1 is NaN"],
  [[0, Number.POSITIVE_INFINITY], "the model's logit of token 1 is Infinity"],
  [[Number.NEGATIVE_INFINITY], "the model rules every token out"],
])("logits %j are refused as the host refuses them", (values, message) => {
  expect(() => native.argmax(Float32Array.from(values))).toThrow(message);
});
