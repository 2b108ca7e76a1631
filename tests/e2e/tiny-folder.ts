/** A Hugging Face folder with a tiny random llama: sound, so that a test can break one thing of it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { randomNumbers } from "../weights/refusal.ts";
import { float32, safetensors, type TensorToWrite } from "../weights/safetensors-writer.ts";

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
  const drawn = (shape: readonly number[]) => filled(shape, () => (random() / 2 ** 32 - 0.5) / 4);
  return llamaWeights(tinyConfig, { matrix: drawn, norm: drawn });
}

interface Made {
  readonly matrix: (shape: readonly number[]) => TensorToWrite;
  readonly norm: (shape: readonly number[]) => TensorToWrite;
  /** Of the matrices whose products ranks add up; absent: as all others. */
  readonly summed?: (shape: readonly number[]) => TensorToWrite;
}

/** The one file of a llama with tied embeddings; each tensor made in the order in which it is named here. */
export function llamaWeights(config: typeof tinyConfig, { matrix, norm, summed = matrix }: Made): Uint8Array {
  const {
    hidden_size: hidden,
    intermediate_size: forward,
    num_key_value_heads,
    num_attention_heads,
  } = config;
  const shared = (hidden * num_key_value_heads) / num_attention_heads;
  const tensors: Record<string, TensorToWrite> = {
    "model.embed_tokens.weight": matrix([config.vocab_size, hidden]),
    "model.norm.weight": norm([hidden]),
  };
  for (let at = 0; at < config.num_hidden_layers; at++) {
    const layer = {
      input_layernorm: norm([hidden]),
      post_attention_layernorm: norm([hidden]),
      "self_attn.q_proj": matrix([hidden, hidden]),
      "self_attn.k_proj": matrix([shared, hidden]),
      "self_attn.v_proj": matrix([shared, hidden]),
      "self_attn.o_proj": summed([hidden, hidden]),
      "mlp.gate_proj": matrix([forward, hidden]),
      "mlp.up_proj": matrix([forward, hidden]),
      "mlp.down_proj": summed([hidden, forward]),
    };
    for (const [name, tensor] of Object.entries(layer)) tensors[`model.layers.${at}.${name}.weight`] = tensor;
  }
  return safetensors(tensors);
}

/** Of float32, each number asked for. */
export const filled = (shape: readonly number[], next: () => number): TensorToWrite =>
  float32(shape, Array.from({ length: shape.reduce((size, each) => size * each, 1) }, next));

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
