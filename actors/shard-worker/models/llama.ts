import { Type as t } from "@sinclair/typebox";
import { type DecoderConfig, decoderFields, readConfig, windowByType } from "./config.ts";
import { decoder } from "./decoder.ts";
import type { Builder } from "./model.ts";
import { mlp } from "./transformer.ts";

const LlamaConfig = t.Object({
  ...decoderFields,
  attention_bias: t.Optional(t.Boolean()),
  mlp_bias: t.Optional(t.Boolean()),
});

/** Llama 2 and 3 (https://arxiv.org/abs/2407.21783). A bare `sliding_window` means nothing here. */
export const llama: Builder = (given, weights, range) => {
  const config = readConfig(LlamaConfig, given);
  return decoder(config, weights, {
    range,
    biases: config.attention_bias ? ["q_proj", "k_proj", "v_proj", "o_proj"] : [],
    feedForward: (w) => mlp(w.at("mlp"), config.mlp_bias),
  });
};

/** Mistral (https://arxiv.org/abs/2310.06825): Llama without biases, whose bare window holds for every layer. */
export const mistral: Builder = (given, weights, range) => {
  const config = readConfig(LlamaConfig, given);
  return decoder(config, weights, {
    range,
    window: (layer) => mistralWindow(config, layer),
  });
};

/** The window of a layer: by `layer_types`, else the same for all. */
export const mistralWindow = (config: DecoderConfig, layer: number): number | undefined =>
  config.layer_types ? windowByType(config, layer) : config.sliding_window;
