import { type Static, Type as t } from "@sinclair/typebox";
import type { Weights } from "#ffi/weights";
import { readConfig } from "./config.ts";
import { decoder } from "./decoder.ts";
import { largest, mixture, type Router } from "./experts.ts";
import type { Builder } from "./model.ts";
import { QwenConfig } from "./qwen2.ts";
import { mlp } from "./transformer.ts";

const Qwen3MoeConfig = t.Object({
  ...QwenConfig.properties,
  attention_bias: t.Optional(t.Boolean()),
  num_experts: t.Integer({ minimum: 0 }),
  num_experts_per_tok: t.Integer({ minimum: 1 }),
  norm_topk_prob: t.Optional(t.Boolean()),
  decoder_sparse_step: t.Optional(t.Integer({ minimum: 1 })),
  mlp_only_layers: t.Optional(t.Array(t.Integer({ minimum: 0 }))),
});
type Qwen3MoeConfig = Static<typeof Qwen3MoeConfig>;

/** Qwen3 with experts in some or all layers (https://arxiv.org/abs/2505.09388). */
export const qwen3Moe: Builder = (given, weights, range) => {
  const config = readConfig(Qwen3MoeConfig, given);
  return decoder(config, weights, {
    range,
    qkNorm: true,
    biases: config.attention_bias ? ["q_proj", "k_proj", "v_proj", "o_proj"] : [],
    window: () => qwen3MoeWindow(config),
    feedForward: (w, layer) =>
      isSparse(config, layer) ? mixture(w.at("mlp"), router(w.at("mlp"), config)) : mlp(w.at("mlp")),
  });
};

function isSparse(config: Qwen3MoeConfig, layer: number): boolean {
  const { num_experts: experts, decoder_sparse_step: step = 1, mlp_only_layers: dense = [] } = config;
  return experts > 0 && !dense.includes(layer) && (layer + 1) % step === 0;
}

/** Softmax over all experts, then the best k; renormalised if the config says so. */
function router(w: Weights, config: Qwen3MoeConfig): Router {
  const gate = w.linear("gate");
  return (x) => {
    const scores = gate(x).astype("float32").softmax(-1);
    const experts = largest(scores, config.num_experts_per_tok);
    const chosen = scores.takeAlongAxis(experts, -1);
    return { experts, weights: config.norm_topk_prob ? chosen.div(chosen.sum(-1, true)) : chosen };
  };
}

export const qwen3MoeWindow = (config: Static<typeof QwenConfig>): number | undefined =>
  config.use_sliding_window ? config.sliding_window : undefined;
