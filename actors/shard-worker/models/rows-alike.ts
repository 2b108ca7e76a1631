/** Which tokens of one sequence may go through a model together and leave the very bits that they leave otherwise. */
import type { Kernels } from "#ffi/array";
import { DecoderConfig, groupOf, readConfig } from "./config.ts";
import { ropeDependsOnLength } from "./rope.ts";
import { windowsOf } from "./windows.ts";

/** Rows that our kernels multiply with a weight as they do one (kFewRows of mlx-c/shim/kernels.hpp). */
export const PRODUCT_ROWS = 8;
/** Rows of queries that they attend with as with those of one token (kFewRows of mlx-c/shim/kernels_attention.cpp). */
export const ATTENTION_ROWS = 16;
/** So many tokens are computed as many, whatever shares a key: none of their rows depends on how many more there are. */
export const MANY_TOKENS = Math.max(PRODUCT_ROWS, ATTENTION_ROWS) + 1;
/**
 * Attention over a cache is cut in pieces of so many keys that there are at most 16, and they grow where these keys, twice as many
 * and so on are reached (kernels_groups.cpp): tokens on both sides of such a place are not computed as one at a time.
 */
export const PIECES_CHANGE = 4096;

export interface Alike {
  /** Tokens that are computed with the bits of one at a time. */
  readonly rows: number;
  /** Where chunks of at least `MANY_TOKENS` tokens end leaves no trace. */
  readonly chunks: boolean;
}

/**
 * `config` as config.json has it; throws Problem. Our kernels multiply row by row whatever type or packing weights have, few rows in
 * one order and many in another. An expert's rows are few or many by who else chose it. Rows of a window are kept in a ring,
 * whose order depends on how they came; and some rotations depend on how long the sequence is with its chunk.
 */
export function alikeIn(config: { readonly model_type: string }, kernels: Kernels): Alike {
  const read = readConfig(DecoderConfig, config);
  const slides = windowsOf(config).some((window) => window !== undefined);
  if (kernels !== "exo" || slides || ropeDependsOnLength(read)) return { rows: 1, chunks: false };
  const tokens = Math.floor(ATTENTION_ROWS / groupOf(read));
  const hasExperts = "num_local_experts" in config || "num_experts" in config;
  return { rows: Math.max(1, Math.min(PRODUCT_ROWS, tokens)), chunks: !hasExperts };
}
