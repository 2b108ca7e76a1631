import { Type as t } from "@sinclair/typebox";
import { readConfig } from "./config.ts";
import { decoder } from "./decoder.ts";
import type { Builder } from "./model.ts";
import { QwenConfig, qwenWindow } from "./qwen2.ts";

const Qwen3Config = t.Object({
  ...QwenConfig.properties,
  attention_bias: t.Optional(t.Boolean()),
});

/** What transformers takes where `head_dim` is absent. */
export const QWEN3_HEAD_DIMS = 128;

/** Qwen3 (https://arxiv.org/abs/2505.09388): Llama with normalised queries and keys. */
export const qwen3: Builder = (given, weights, range) => {
  const config = readConfig(Qwen3Config, given);
  return decoder({ head_dim: QWEN3_HEAD_DIMS, ...config }, weights, {
    range,
    qkNorm: true,
    biases: config.attention_bias ? ["q_proj", "k_proj", "v_proj", "o_proj"] : [],
    window: (layer) => qwenWindow(config, layer),
  });
};
