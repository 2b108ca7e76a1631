/** A GGUF file's metadata in the words of a config.json, so that models know one spelling. */
import { Problem } from "#protocol/problem";
import { type GenerationDefaults, inRange, type ModelConfig } from "./config.ts";
import { present } from "./config-entries.ts";
import { quoted } from "./file-bytes.ts";
import type { GgufFile } from "./gguf.ts";
import { GgufMetadata } from "./gguf-metadata.ts";
import { ggufRope } from "./gguf-rope.ts";

/** Architectures by llama.cpp's names. Mistral's files say llama, and Mixtral's too, with a number of experts. */
const modelTypes: Readonly<Record<string, string>> = {
  llama: "llama",
  qwen2: "qwen2",
  qwen3: "qwen3",
  qwen3moe: "qwen3_moe",
};

export interface GgufModelConfig extends ModelConfig {
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
}

/** Throws Problem naming a key that is missing or wrong, or an architecture that is not known. `factors` are the file's `rope_freqs`. */
export function ggufConfig(file: GgufFile, factors?: readonly number[]): GgufModelConfig {
  const metadata = new GgufMetadata(file);
  const architecture = architectureOf(file, metadata);
  const key = (name: string) => `${architecture}.${name}`;
  const hidden = metadata.count(key("embedding_length"));
  const heads = metadata.count(key("attention.head_count"));
  const headDims = metadata.number(key("attention.key_length")) ?? hidden / heads;
  const has = (name: string) => file.tensors.some((tensor) => tensor.name === name);
  const embedding = file.tensors.find(({ name }) => name === "token_embd.weight");
  const common = {
    hidden_size: hidden,
    num_hidden_layers: layerCount(file, metadata, key("block_count")),
    intermediate_size: metadata.count(key("feed_forward_length")),
    num_attention_heads: heads,
    num_key_value_heads: metadata.number(key("attention.head_count_kv")) ?? heads,
    head_dim: headDims,
    rms_norm_eps: metadata.needed(
      key("attention.layer_norm_rms_epsilon"),
      metadata.number(key("attention.layer_norm_rms_epsilon")),
    ),
    vocab_size: embedding?.shape[0] ?? metadata.count(key("vocab_size")),
    max_position_embeddings: metadata.count(key("context_length")),
    attention_bias: has("blk.0.attn_output.bias"),
    mlp_bias: has("blk.0.ffn_down.bias"),
    tie_word_embeddings: !has("output.weight"),
    rope_parameters: ggufRope(metadata, architecture, headDims, factors),
  };
  const experts = expertsOf(file, metadata, architecture);
  const model_type =
    architecture === "llama" && experts ? "mixtral" : (modelTypes[architecture] ?? architecture);
  return { model_type, ...common, ...experts };
}

function architectureOf({ path }: GgufFile, metadata: GgufMetadata): string {
  const key = "general.architecture";
  const architecture = metadata.needed(key, metadata.text(key));
  if (Object.hasOwn(modelTypes, architecture)) return architecture;
  throw new Problem(
    "invalid",
    `${path} holds the architecture ${quoted(architecture)}, which is not supported`,
    {
      param: "model_type",
      remedy: `supported are ${Object.keys(modelTypes).sort().join(", ")}`,
    },
  );
}

/** Every layer has a tensor at least: a damaged count must not make us think of a billion layers. */
function layerCount({ tensors }: GgufFile, metadata: GgufMetadata, key: string): number {
  const count = metadata.count(key);
  if (count <= tensors.length) return count;
  throw metadata.wrong(key, count, `a number of layers that its ${tensors.length} tensors could make`);
}

/** Keys of a mixture of experts; undefined for a dense model. */
function expertsOf(file: GgufFile, metadata: GgufMetadata, architecture: string) {
  const count = metadata.number(`${architecture}.expert_count`) ?? 0;
  if (count === 0) return undefined;
  const used = metadata.count(`${architecture}.expert_used_count`);
  if (architecture === "llama") return { num_local_experts: count, num_experts_per_tok: used };
  const sparse = new Set(
    file.tensors.flatMap(({ name }) => /^blk\.(\d+)\.ffn_gate_exps\./.exec(name)?.[1] ?? []).map(Number),
  );
  const layers = Array.from({ length: metadata.count(`${architecture}.block_count`) }, (_, layer) => layer);
  return {
    num_experts: count,
    num_experts_per_tok: used,
    moe_intermediate_size: metadata.count(`${architecture}.expert_feed_forward_length`),
    // The format has no key for it: every file of this architecture divides by the sum.
    norm_topk_prob: true,
    decoder_sparse_step: 1,
    mlp_only_layers: layers.filter((layer) => !sparse.has(layer)),
  };
}

/** The sampling that the file recommends, and its end tokens. */
export function ggufGeneration(file: GgufFile): GenerationDefaults {
  const metadata = new GgufMetadata(file);
  const sampling = (name: string) => metadata.number(`general.sampling.${name}`);
  const ends = ["eos", "eot", "eom"].flatMap(
    (name) => metadata.number(`tokenizer.ggml.${name}_token_id`) ?? [],
  );
  return inRange(file.path, {
    ...present({
      temperature: sampling("temp"),
      topP: sampling("top_p"),
      topK: sampling("top_k"),
      minP: sampling("min_p"),
      repetitionPenalty: sampling("penalty_repeat"),
    }),
    eosTokens: [...new Set(ends)],
  });
}
