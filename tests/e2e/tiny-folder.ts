/** A Hugging Face folder with a tiny random llama: sound, so that a test can break one thing of it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { randomNumbers } from "../weights/refusal.ts";
import { float32, safetensors } from "../weights/safetensors-writer.ts";

/** The recorded tokenizer has ids below this. */
const VOCABULARY = 512;
const HIDDEN = 32;
const FEED_FORWARD = 64;

export const tinyConfig = {
  model_type: "llama",
  architectures: ["LlamaForCausalLM"],
  vocab_size: VOCABULARY,
  hidden_size: HIDDEN,
  intermediate_size: FEED_FORWARD,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  tie_word_embeddings: true,
};

/** The bytes of its one file of weights. */
export function tinyWeights(): Uint8Array {
  const random = randomNumbers(7);
  const tensor = (...shape: readonly number[]) =>
    float32(
      shape,
      Array.from(
        { length: shape.reduce((size, each) => size * each, 1) },
        () => (random() / 2 ** 32 - 0.5) / 4,
      ),
    );
  const layer = "model.layers.0.";
  return safetensors({
    "model.embed_tokens.weight": tensor(VOCABULARY, HIDDEN),
    "model.norm.weight": tensor(HIDDEN),
    [`${layer}input_layernorm.weight`]: tensor(HIDDEN),
    [`${layer}post_attention_layernorm.weight`]: tensor(HIDDEN),
    [`${layer}self_attn.q_proj.weight`]: tensor(HIDDEN, HIDDEN),
    [`${layer}self_attn.k_proj.weight`]: tensor(HIDDEN / 2, HIDDEN),
    [`${layer}self_attn.v_proj.weight`]: tensor(HIDDEN / 2, HIDDEN),
    [`${layer}self_attn.o_proj.weight`]: tensor(HIDDEN, HIDDEN),
    [`${layer}mlp.gate_proj.weight`]: tensor(FEED_FORWARD, HIDDEN),
    [`${layer}mlp.up_proj.weight`]: tensor(FEED_FORWARD, HIDDEN),
    [`${layer}mlp.down_proj.weight`]: tensor(HIDDEN, FEED_FORWARD),
  });
}

/** A byte-level tokenizer recorded for tests of the text room. */
const { tokenizer }: { readonly tokenizer: object } = await Bun.file(
  join(import.meta.dir, "..", "corpora", "tokenizers", "gpt2.json"),
).json();

/** Files by name; undefined leaves one out. */
export type Change = Readonly<Record<string, string | Uint8Array | undefined>>;

/** Makes the folder, with some files changed, and names it. */
export function tinyFolder(path: string, change: Change = {}): string {
  const files: Change = {
    "config.json": JSON.stringify(tinyConfig),
    "model.safetensors": tinyWeights(),
    "tokenizer.json": JSON.stringify(tokenizer),
    "tokenizer_config.json": "{}",
    ...change,
  };
  mkdirSync(path, { recursive: true });
  for (const [name, content] of Object.entries(files))
    if (content !== undefined) writeFileSync(join(path, name), content);
  return path;
}
