import { type Static, Type as t } from "@sinclair/typebox";
import { decoderFields, readConfig, windowByType } from "./config.ts";
import { decoder } from "./decoder.ts";
import type { Builder } from "./model.ts";

/** Keys by which the Qwen line says which layers slide. */
export const qwenWindowFields = {
  use_sliding_window: t.Optional(t.Boolean()),
  max_window_layers: t.Optional(t.Integer({ minimum: 0 })),
};
export const QwenConfig = t.Object({ ...decoderFields, ...qwenWindowFields });

/** The window of a layer: by `layer_types`, else from `max_window_layers` on where `use_sliding_window` says so. */
export function qwenWindow(config: Static<typeof QwenConfig>, layer: number): number | undefined {
  if (!config.use_sliding_window) return undefined;
  if (config.layer_types) return windowByType(config, layer);
  return layer >= (config.max_window_layers ?? DEFAULT_FULL_LAYERS) ? config.sliding_window : undefined;
}
/** transformers' default of `max_window_layers`. */
const DEFAULT_FULL_LAYERS = 28;

/** Qwen2 and Qwen2.5 (https://arxiv.org/abs/2407.10671): Llama with biases on queries, keys and values. */
export const qwen2: Builder = (given, weights, range) => {
  const config = readConfig(QwenConfig, given);
  return decoder(config, weights, {
    range,
    ropeTheta: 1e6,
    biases: ["q_proj", "k_proj", "v_proj"],
    window: (layer) => qwenWindow(config, layer),
  });
};
