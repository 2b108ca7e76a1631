/**
 * Chooses the next token from logits in the host's memory: a vocabulary is a few hundred kilobytes, MLX's own reductions over
 * it are slow on a CPU, and its random numbers change from version to version.
 */
import type { Sampling } from "#protocol/generation";
import { best, likely, nucleus } from "./candidates.ts";
import { hostPasses, logSumExp, type Passes, RUN } from "./passes.ts";
import { uniformAt } from "./uniform.ts";

/** `position` is the place of the token in the whole text, prompt included. Logits may not hold NaN. */
export type Sampler = (logits: Float32Array, position: number) => number;

/**
 * mlx-lm's order: greedy at temperature 0; else top-p, min-p, top-k on the untempered distribution, and last the
 * temperature. What is absent is neutral.
 */
export function createSampler(sampling: Sampling, seed: bigint, passes: Passes = hostPasses): Sampler {
  const { temperature = 1, topP = 1, minP = 0, topK = 0 } = sampling;
  if (temperature === 0) return passes.argmax;
  return (logits, position) => {
    const largest = logits[passes.argmax(logits)] ?? 0;
    let ids: readonly number[] | undefined;
    if (topP < 1)
      ids = nucleus(logits, { normaliser: logSumExp(logits, largest, passes), share: topP }, passes);
    if (minP > 0) ids = likely(logits, ids, { least: largest + Math.log(minP), passes });
    if (topK > 0) ids = ids ? best(logits, ids, topK) : passes.top(logits, topK);
    const how = { largest, temperature, chance: uniformAt(seed, position) };
    return ids ? draw(logits, ids, how) : drawOfAll(logits, how, passes);
  };
}

interface Draw {
  readonly largest: number;
  readonly temperature: number;
  /** Uniform in [0, 1). */
  readonly chance: number;
}

/** One of `ids` with probability proportional to exp(logit / temperature). */
function draw(logits: Float32Array, ids: readonly number[], how: Draw): number {
  const weights = ids.map((id) => weightOf(logits, id, how));
  const { index } = place(weights, how.chance * weights.reduce((total, weight) => total + weight, 0));
  return ids[index] ?? 0;
}

/** One of all tokens: first the run of them that it is in. */
function drawOfAll(logits: Float32Array, how: Draw, passes: Passes): number {
  const sums = passes.sums(logits, how.largest, how.temperature);
  const { index: run, left } = place(sums, how.chance * sums.reduce((total, sum) => total + sum, 0));
  const first = run * RUN;
  const weights = new Float64Array(Math.min(RUN, logits.length - first));
  for (let i = 0; i < weights.length; i++) weights[i] = weightOf(logits, first + i, how);
  return first + place(weights, left).index;
}

const weightOf = (logits: Float32Array, id: number, { largest, temperature }: Draw): number =>
  Math.exp(((logits[id] ?? 0) - largest) / temperature);

/** Where `distance` ends among weights that lie side by side, and what is left of it there. None of weight 0 is it. */
function place(
  weights: ArrayLike<number>,
  distance: number,
): { readonly index: number; readonly left: number } {
  let last = 0;
  let left = distance;
  for (let index = 0; index < weights.length; index++) {
    const weight = weights[index] ?? 0;
    if (weight === 0) continue;
    last = index;
    if (left < weight) break;
    left -= weight;
  }
  return { index: last, left };
}
