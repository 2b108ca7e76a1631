/**
 * Chooses the next token from logits on the host: a vocabulary is a few hundred kilobytes, MLX's own reductions over it
 * are slow on a CPU, and its random numbers change from version to version.
 */
import type { Sampling } from "#protocol/generation";
import { best, likely, nucleus } from "./candidates.ts";
import { argmax, logSumExp } from "./scores.ts";
import { uniformAt } from "./uniform.ts";

/** `position` is the place of the token in the whole text, prompt included. Logits may not hold NaN. */
export type Sampler = (logits: Float32Array, position: number) => number;

/**
 * mlx-lm's order: greedy at temperature 0; else top-p, min-p, top-k on the untempered distribution, and last the
 * temperature. What is absent is neutral.
 */
export function createSampler(sampling: Sampling, seed: bigint): Sampler {
  const { temperature = 1, topP = 1, minP = 0, topK = 0 } = sampling;
  if (temperature === 0) return argmax;
  return (logits, position) => {
    const largest = logits[argmax(logits)] ?? 0;
    let ids: readonly number[] | undefined;
    if (topP < 1) ids = nucleus(logits, logSumExp(logits, largest), topP);
    if (minP > 0) ids = likely(logits, ids, { largest, share: minP });
    if (topK > 0) ids = best(logits, ids, topK);
    return draw(logits, ids, { largest, temperature, chance: uniformAt(seed, position) });
  };
}

interface Draw {
  readonly largest: number;
  readonly temperature: number;
  /** Uniform in [0, 1). */
  readonly chance: number;
}

/** One of `ids` (undefined: of all) with probability proportional to exp(logit / temperature). */
function draw(
  logits: Float32Array,
  ids: readonly number[] | undefined,
  { largest, temperature, chance }: Draw,
): number {
  const count = ids ? ids.length : logits.length;
  const weights = new Float64Array(count);
  let total = 0;
  for (let i = 0; i < count; i++) {
    const weight = Math.exp(((logits[ids ? (ids[i] ?? 0) : i] ?? 0) - largest) / temperature);
    weights[i] = weight;
    total += weight;
  }
  let left = chance * total;
  let last = 0;
  for (let i = 0; i < count; i++) {
    const weight = weights[i] ?? 0;
    if (weight === 0) continue;
    last = i;
    left -= weight;
    if (left < 0) break;
  }
  return ids ? (ids[last] ?? 0) : last;
}
