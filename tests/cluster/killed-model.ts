/**
 * The model that `bun run kills` asks: the newcomer's, or `tiny`, of random weights, which leaves nearly all of the time to what is
 * killed and started again. Its weights are so large that every token before says much about the next.
 */
import { join } from "node:path";
import { tinyConfig, tinyFolder } from "../e2e/tiny-folder.ts";
import { randomNumbers } from "../weights/refusal.ts";
import { float32, safetensors } from "../weights/safetensors-writer.ts";

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
    "model.safetensors": weights(config.vocab_size),
  });
}

function weights(vocabulary: number): Uint8Array {
  const random = randomNumbers(11);
  const tensor = (...shape: readonly number[]) =>
    float32(
      shape,
      Array.from({ length: shape.reduce((size, each) => size * each, 1) }, () => random() / 2 ** 32 - 0.5),
    );
  const layers = Array.from({ length: LAYERS }, (_, at) => {
    const of = `model.layers.${at}.`;
    return {
      [`${of}input_layernorm.weight`]: ones(),
      [`${of}post_attention_layernorm.weight`]: ones(),
      [`${of}self_attn.q_proj.weight`]: tensor(HIDDEN, HIDDEN),
      [`${of}self_attn.k_proj.weight`]: tensor(HIDDEN / 2, HIDDEN),
      [`${of}self_attn.v_proj.weight`]: tensor(HIDDEN / 2, HIDDEN),
      [`${of}self_attn.o_proj.weight`]: tensor(HIDDEN, HIDDEN),
      [`${of}mlp.gate_proj.weight`]: tensor(FEED_FORWARD, HIDDEN),
      [`${of}mlp.up_proj.weight`]: tensor(FEED_FORWARD, HIDDEN),
      [`${of}mlp.down_proj.weight`]: tensor(HIDDEN, FEED_FORWARD),
    };
  });
  const ends = { "model.embed_tokens.weight": tensor(vocabulary, HIDDEN), "model.norm.weight": ones() };
  return safetensors(Object.assign(ends, ...layers));
}

const ones = () =>
  float32(
    [HIDDEN],
    Array.from({ length: HIDDEN }, () => 1),
  );
