import type { MxArray } from "../array.ts";
import type { Layer } from "../weights.ts";

/** RMSNorm with a weight (https://arxiv.org/abs/1910.07467). */
export const rmsNormLayer =
  (weight: MxArray, eps: number): Layer =>
  (x) =>
    x.rmsNorm(weight, eps);
