/** How far back each layer's attention reaches, for whoever plans memory and builds no model. */
import type { Static } from "@sinclair/typebox";
import { DecoderConfig, readConfig, windowByType } from "./config.ts";
import { mistralWindow } from "./llama.ts";
import { QwenConfig, qwenWindow } from "./qwen2.ts";
import { qwen3MoeWindow } from "./qwen3-moe.ts";

type WindowOf = (config: Static<typeof QwenConfig>, layer: number) => number | undefined;

/** As each architecture's builder has it; the others slide only where `layer_types` says so. */
const windows: Readonly<Record<string, WindowOf>> = {
  mistral: mistralWindow,
  mixtral: (config: DecoderConfig) => config.sliding_window,
  qwen2: qwenWindow,
  qwen3: qwenWindow,
  qwen3_moe: qwen3MoeWindow,
};

/** The window of each layer of a parsed config.json; undefined: the whole context. Throws Problem, as the builders do. */
export function windowsOf(config: { readonly model_type: string }): readonly (number | undefined)[] {
  const read = { ...readConfig(DecoderConfig, config), ...readConfig(QwenConfig, config) };
  const windowOf = windows[config.model_type] ?? windowByType;
  return Array.from({ length: read.num_hidden_layers }, (_, layer) => windowOf(read, layer));
}
