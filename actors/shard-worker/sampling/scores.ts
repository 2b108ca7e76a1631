/** Log-probabilities of tokens from logits, in double precision. */
import { hostPasses, logSumExp, type Passes } from "./passes.ts";

export interface Score {
  readonly id: number;
  readonly logprob: number;
}

/** A token and the best rivals, falling. */
export interface ScoredToken extends Score {
  readonly top: readonly Score[];
}

/** The log-probability of `id` and of the `count` best tokens, falling. */
export function scoresOf(
  logits: Float32Array,
  { id, count }: { readonly id: number; readonly count: number },
  passes: Passes = hostPasses,
): ScoredToken {
  const normaliser = logSumExp(logits, logits[passes.argmax(logits)] ?? 0, passes);
  // JSON has no infinity; a token that was ruled out gets the smallest number that OpenAI's own answers use.
  const score = (at: number): Score => ({
    id: at,
    logprob: Math.max((logits[at] ?? 0) - normaliser, RULED_OUT),
  });
  return { ...score(id), top: passes.top(logits, count).map(score) };
}
const RULED_OUT = -9999;
