import type { MxArray } from "../array.ts";
import type { Norm } from "../weights.ts";

/** RMSNorm with a weight (https://arxiv.org/abs/1910.07467). */
export const rmsNormLayer = (weight: MxArray, eps: number): Norm => ({
  weight,
  eps,
  of: (x) => x.rmsNorm(weight, eps),
  ofSum: (x, y) => x.addRmsNorm(y, weight, eps),
});
