import type { MxArray, Packed } from "../array.ts";
import type { ExpertLayer } from "../weights.ts";

/** One projection of E experts, weight [E, out, in] and bias [E, out], applied to each token's chosen ones. */
export function expertLayer(weight: MxArray | Packed, bias: MxArray | undefined): ExpertLayer {
  if (bias === undefined) return (x, experts, sorted) => x.gatherLinear(weight, experts, sorted);
  return (x, experts, sorted) =>
    x.gatherLinear(weight, experts, sorted).add(bias.take(experts, 0).expandDims(-2));
}
