/** How many tokens of one sequence go through a model at once with the very bits of one at a time. */
import type { Kernels } from "#ffi/array";
import { DecoderConfig, groupOf, readConfig } from "./config.ts";

/** Rows that our kernels multiply with a packed weight as they do one (kFewRows of mlx-c/shim/kernels.hpp). */
export const PRODUCT_ROWS = 8;
/** Rows of queries that they attend with as with those of one token (kFewRows of mlx-c/shim/kernels_attention.cpp). */
export const ATTENTION_ROWS = 16;

/**
 * `config` as config.json has it; throws Problem. `quantisation` as a checkpoint's facts say: weights that are not packed are
 * multiplied by MLX, with other steps for other numbers of rows, and so is what chooses experts.
 */
export function rowsAlike(config: object, quantisation: string, kernels: Kernels): number {
  const isDense = /\b(b?float|B?F)(16|32)(,|$)/.test(quantisation);
  const hasExperts = "num_local_experts" in config || "num_experts" in config;
  if (kernels !== "exo" || isDense || hasExperts) return 1;
  const tokens = Math.floor(ATTENTION_ROWS / groupOf(readConfig(DecoderConfig, config)));
  return Math.max(1, Math.min(PRODUCT_ROWS, tokens));
}
