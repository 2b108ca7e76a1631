/**
 * The model that `bun run kills` asks: the newcomer's, or `tiny`, of random weights, which leaves nearly all of the time to what is
 * killed and started again. Its weights are so large that every token before says much about the next.
 */
import { join } from "node:path";
import { filled, llamaWeights, tinyConfig, tinyFolder } from "../e2e/tiny-folder.ts";
import { randomNumbers } from "../weights/refusal.ts";

const LAYERS = 6;
const HIDDEN = 64;
const FEED_FORWARD = 128;
const CONTEXT = 2048;

/** Readies a machine whose home is there. */
export function readied(model: string, home: string): void {
  if (model !== "tiny") return;
  const config = {
    ...tinyConfig,
    ...{ hidden_size: HIDDEN, intermediate_size: FEED_FORWARD, num_hidden_layers: LAYERS },
    max_position_embeddings: CONTEXT,
  };
  tinyFolder(join(home, "exo", "models", "tiny"), {
    "config.json": JSON.stringify(config),
    "model.safetensors": weights(config),
  });
}

function weights(config: typeof tinyConfig): Uint8Array {
  const random = randomNumbers(11);
  return llamaWeights(config, {
    matrix: (shape) => filled(shape, () => random() / 2 ** 32 - 0.5),
    norm: (shape) => filled(shape, () => 1),
  });
}
