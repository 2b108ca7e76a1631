/**
 * A tiny model whose answers are the same to the bit however ranks share it: what ranks add up has one term that is not zero in each
 * row, so that no order of adding matters. Two ranks can share its heads.
 */
import { join } from "node:path";
import { filled, llamaWeights, tinyConfig, tinyFolder } from "../e2e/tiny-folder.ts";
import { randomNumbers } from "../weights/refusal.ts";

export const LAYERS = 6;
const config = {
  ...tinyConfig,
  ...{ hidden_size: 64, intermediate_size: 128, num_hidden_layers: LAYERS },
  ...{ num_attention_heads: 4, num_key_value_heads: 2, max_position_embeddings: 2048 },
};

/** By the name `exact`, on the disk of a machine whose home that is. */
export function exactModel(home: string): string {
  return tinyFolder(join(home, "exo", "models", "exact"), {
    "config.json": JSON.stringify(config),
    "model.safetensors": weights(),
    "tokenizer_config.json": JSON.stringify({
      chat_template: "{% for message in messages %}{{ message.content }}{% endfor %}",
    }),
  });
}

function weights(): Uint8Array {
  const random = randomNumbers(11);
  const next = () => random() / 2 ** 32 - 0.5;
  return llamaWeights(config, {
    matrix: (shape) => filled(shape, next),
    norm: (shape) => filled(shape, () => 1),
    summed(shape) {
      const [, columns = 1] = shape;
      let at = 0;
      return filled(shape, () => {
        const [row, column] = [Math.floor(at / columns), at % columns];
        at++;
        return column === (7 * row + 3) % columns ? 4 * next() : 0;
      });
    },
  });
}
