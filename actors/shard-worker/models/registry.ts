/** Which builder makes which `model_type`. */
import type { Weights } from "#ffi/weights";
import { Problem } from "#protocol/problem";
import type { LayerRange } from "#protocol/shard";
import { llama, mistral } from "./llama.ts";
import { mixtral } from "./mixtral.ts";
import type { Builder, Model } from "./model.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen3 } from "./qwen3.ts";
import { qwen3Moe } from "./qwen3-moe.ts";

const builders: Readonly<Record<string, Builder>> = {
  llama,
  mistral,
  mixtral,
  qwen2,
  qwen3,
  qwen3_moe: qwen3Moe,
  // The same architecture under another name.
  iquestcoder: llama,
};

/** Every `model_type` that can be built. */
export const supportedModelTypes: readonly string[] = Object.keys(builders).sort();

/** The `model_type` of a parsed config.json; throws Problem when it is missing or cannot be built. */
export function modelTypeOf(config: unknown): string {
  const named =
    typeof config === "object" && config !== null && "model_type" in config ? config.model_type : undefined;
  if (typeof named !== "string") {
    throw new Problem("invalid", "config.json lacks 'model_type'", {
      param: "model_type",
      remedy: "fetch the model again, or correct its config.json",
    });
  }
  if (!Object.hasOwn(builders, named)) {
    throw new Problem("invalid", `model_type '${named}' is not supported`, {
      param: "model_type",
      remedy: `supported are ${supportedModelTypes.join(", ")}`,
    });
  }
  return named;
}

/** Builds a shard's model; see Builder. `range` absent: all layers. */
export function buildModel(config: unknown, weights: Weights, range?: LayerRange): Model {
  const builder = builders[modelTypeOf(config)];
  if (!builder) throw new Error("modelTypeOf lets only known types pass");
  return builder(config, weights, range);
}
