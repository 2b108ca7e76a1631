import type { MxArray, Packed } from "../array.ts";
import type { Layer, Projection } from "../weights.ts";

/** A weight as stored in three parts, rather than an array of numbers. */
export const isPacked = (weight: MxArray | Packed): weight is Packed => "scales" in weight;

/** x · Wᵀ + bias for a weight [out, in], dense or packed. */
export function linearLayer(weight: MxArray | Packed, bias: MxArray | undefined): Projection {
  return Object.assign(productWith(weight, bias), { weight, bias });
}

function productWith(weight: MxArray | Packed, bias: MxArray | undefined): Layer {
  if (!isPacked(weight)) return (x) => x.linear(weight, bias);
  return bias ? (x) => x.quantizedLinear(weight).add(bias) : (x) => x.quantizedLinear(weight);
}
