/** Log-probabilities of tokens from logits, in double precision. */
import { best } from "./candidates.ts";

/** Beyond this distance from the best logit a token adds less than a double can hold. */
const NEGLIGIBLE = -40;

/** ln Σ exp(logit), given the largest logit. */
export function logSumExp(logits: Float32Array, largest: number): number {
  let sum = 0;
  for (const logit of logits) if (logit - largest > NEGLIGIBLE) sum += Math.exp(logit - largest);
  return largest + Math.log(sum);
}

export interface Score {
  readonly id: number;
  readonly logprob: number;
}

/** A token and the best rivals, falling. */
export interface ScoredToken extends Score {
  readonly top: readonly Score[];
}

/** The log-probability of `id` and of the `count` best tokens, falling. */
export function scoresOf(logits: Float32Array, id: number, count: number): ScoredToken {
  const normaliser = logSumExp(logits, logits[argmax(logits)] ?? 0);
  // JSON has no infinity; a token that was ruled out gets the smallest number that OpenAI's own answers use.
  const score = (at: number): Score => ({
    id: at,
    logprob: Math.max((logits[at] ?? 0) - normaliser, RULED_OUT),
  });
  return { ...score(id), top: best(logits, undefined, count).map(score) };
}
const RULED_OUT = -9999;

/** The first of the largest. Throws when there is none: the numbers of the model are broken. */
export function argmax(logits: Float32Array): number {
  let at = -1;
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) {
    const logit = logits[i] ?? 0;
    if (logit <= largest) continue;
    if (!(logit < Number.POSITIVE_INFINITY))
      throw new Error(`the model's logit of token ${i} is ${logit}: ${BROKEN}`);
    largest = logit;
    at = i;
  }
  if (at < 0) throw new Error(`the model rules every token out: ${BROKEN}`);
  return at;
}
const BROKEN = "its weights or its kernels are broken";
