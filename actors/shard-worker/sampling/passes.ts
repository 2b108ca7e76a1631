/** Passes over a whole vocabulary: the arithmetic that choosing a token spends its time on. */
import { best } from "./candidates.ts";

/** Logits hold no NaN and no infinity, which `argmax` sees to, and no more than -infinity for what is ruled out. */
export interface Passes {
  /** The first of the largest. Throws when there is none: the numbers of the model are broken. */
  argmax(logits: Float32Array): number;
  /** Σ exp((logit - largest) / temperature) of each run of RUN logits. The next call may write over it. */
  sums(logits: Float32Array, largest: number, temperature: number): Float64Array;
  /** Ids of the logits that are at least `least`, rising. */
  atLeast(logits: Float32Array, least: number): number[];
  /** Ids of the `count` largest, falling; of equals the smaller first. */
  top(logits: Float32Array, count: number): number[];
}

/** Logits of a run, as EXO_LOGITS_RUN of mlx-c/shim/kernels_vocabulary.h. */
export const RUN = 1024;

/** On the host, one logit after another. */
export const hostPasses: Passes = {
  argmax(logits) {
    let at = -1;
    let largest = Number.NEGATIVE_INFINITY;
    for (let id = 0; id < logits.length; id++) {
      const logit = logits[id] ?? 0;
      if (logit <= largest) continue;
      if (!(logit < Number.POSITIVE_INFINITY)) throw brokenLogit(id, logit);
      largest = logit;
      at = id;
    }
    if (at < 0) throw noLogit();
    return at;
  },
  sums(logits, largest, temperature) {
    const sums = new Float64Array(Math.ceil(logits.length / RUN));
    for (let id = 0; id < logits.length; id++) {
      const run = Math.floor(id / RUN);
      sums[run] = (sums[run] ?? 0) + Math.exp(((logits[id] ?? 0) - largest) / temperature);
    }
    return sums;
  },
  atLeast(logits, least) {
    const ids: number[] = [];
    for (let id = 0; id < logits.length; id++) if ((logits[id] ?? 0) >= least) ids.push(id);
    return ids;
  },
  top: (logits, count) => best(logits, undefined, count),
};

const BROKEN = "its weights or its kernels are broken";
export const brokenLogit = (id: number, logit: number): Error =>
  new Error(`the model's logit of token ${id} is ${logit}: ${BROKEN}`);
export const noLogit = (): Error => new Error(`the model rules every token out: ${BROKEN}`);

/** ln Σ exp(logit), given the largest logit. */
export const logSumExp = (logits: Float32Array, largest: number, passes: Passes): number =>
  largest + Math.log(passes.sums(logits, largest, 1).reduce((total, sum) => total + sum, 0));
