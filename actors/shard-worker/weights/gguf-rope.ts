/** Rotary embedding keys of a GGUF file in Hugging Face's words. */

import { present } from "./config-entries.ts";
import type { GgufMetadata } from "./gguf-metadata.ts";

/** What llama.cpp takes where a file names no base. */
const DEFAULT_BASE = 10_000;

/**
 * As `rope_parameters` of transformers 5. `factors` multiply each channel pair's period: so files carry the scaling of
 * Llama 3.1 and later, ready computed. Long factors without a growing amplitude say exactly that.
 */
export function ggufRope(
  metadata: GgufMetadata,
  architecture: string,
  headDims: number,
  factors: readonly number[] | undefined,
) {
  const key = (name: string) => `${architecture}.rope.${name}`;
  const turning = metadata.number(key("dimension_count")) ?? headDims;
  const common = {
    rope_theta: metadata.number(key("freq_base")) ?? DEFAULT_BASE,
    ...(turning === headDims ? {} : { partial_rotary_factor: turning / headDims }),
  };
  if (factors)
    return { ...common, rope_type: "longrope", long_factor: factors, factor: 1, attention_factor: 1 };
  const type = metadata.text(key("scaling.type")) ?? "none";
  const factor = metadata.number(key("scaling.factor")) ?? metadata.number(key("scale_linear"));
  const linear = type === "linear" || (type === "none" && metadata.number(key("scale_linear")) !== undefined);
  if (linear && factor !== undefined && factor !== 1) return { ...common, rope_type: "linear", factor };
  if (type !== "yarn") {
    if (type === "none" || type === "linear") return { ...common, rope_type: "default" };
    throw metadata.wrong(key("scaling.type"), type, "a rope scaling that is known (none, linear, yarn)");
  }
  return {
    ...common,
    rope_type: "yarn",
    factor: metadata.needed(key("scaling.factor"), factor),
    ...present({
      original_max_position_embeddings: metadata.number(key("scaling.original_context_length")),
      beta_fast: metadata.number(key("scaling.yarn_beta_fast")),
      beta_slow: metadata.number(key("scaling.yarn_beta_slow")),
    }),
  };
}
