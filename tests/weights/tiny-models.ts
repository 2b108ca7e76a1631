/** Tiny checkpoints in the shape of real ones. */
import { f32, flag, type GgufTensorToWrite, gguf, text, texts, u32, type Value } from "./gguf-writer.ts";
import { bytesOf } from "./safetensors-writer.ts";

/** ggml's numbers of element types. */
export const F32 = 0;
const Q4_0 = 2;

const elements = (name: string, ...shape: readonly number[]): GgufTensorToWrite => ({
  name,
  type: F32,
  shape,
  data: bytesOf(Float32Array.from({ length: shape.reduce((size, n) => size * n, 1) }, (_, i) => i)),
});

/** Rows of 32 nibbles under the scale 1. */
const blocks = (name: string, ...shape: readonly number[]): GgufTensorToWrite => ({
  name,
  type: Q4_0,
  shape,
  data: Uint8Array.from({ length: (shape.reduce((size, n) => size * n, 1) / 32) * 18 }, (_, i) =>
    i % 18 === 0 ? 0 : i % 18 === 1 ? 0x3c : (i * 37) & 255,
  ),
});

export const tokenizer: Readonly<Record<string, Value>> = {
  "tokenizer.ggml.model": text("gpt2"),
  "tokenizer.ggml.pre": text("smollm"),
  "tokenizer.ggml.tokens": texts("<s>", "a", "b", "ab"),
  "tokenizer.ggml.token_type": { type: "array", of: "i32", value: [3, 1, 1, 1] },
  "tokenizer.ggml.merges": texts("a b"),
  "tokenizer.ggml.bos_token_id": u32(0),
  "tokenizer.ggml.eos_token_id": u32(3),
  "tokenizer.ggml.eot_token_id": u32(2),
  "tokenizer.ggml.add_bos_token": flag(true),
  "tokenizer.chat_template": text("{{ messages }}"),
};

/** The keys that every architecture has: hidden 64, two heads of 32, one of keys and values, feed-forward 96. */
export const keys = (architecture: string): Readonly<Record<string, Value>> => ({
  "general.architecture": text(architecture),
  [`${architecture}.block_count`]: u32(1),
  [`${architecture}.context_length`]: u32(128),
  [`${architecture}.embedding_length`]: u32(64),
  [`${architecture}.feed_forward_length`]: u32(96),
  [`${architecture}.attention.head_count`]: u32(2),
  [`${architecture}.attention.head_count_kv`]: u32(1),
  [`${architecture}.attention.layer_norm_rms_epsilon`]: f32(2 ** -17),
});

export const attention: readonly GgufTensorToWrite[] = [
  elements("blk.0.attn_norm.weight", 64),
  elements("blk.0.ffn_norm.weight", 64),
  blocks("blk.0.attn_q.weight", 64, 64),
  elements("blk.0.attn_k.weight", 32, 64),
  blocks("blk.0.attn_v.weight", 32, 64),
  blocks("blk.0.attn_output.weight", 64, 64),
];
export const outside: readonly GgufTensorToWrite[] = [
  elements("token_embd.weight", 4, 64),
  elements("output_norm.weight", 64),
];
export const dense: readonly GgufTensorToWrite[] = [
  blocks("blk.0.ffn_gate.weight", 96, 64),
  blocks("blk.0.ffn_up.weight", 96, 64),
  blocks("blk.0.ffn_down.weight", 64, 96),
];
/** Three experts. */
export const experts: readonly GgufTensorToWrite[] = [
  elements("blk.0.ffn_gate_inp.weight", 3, 64),
  blocks("blk.0.ffn_gate_exps.weight", 3, 96, 64),
  blocks("blk.0.ffn_up_exps.weight", 3, 96, 64),
  blocks("blk.0.ffn_down_exps.weight", 3, 64, 96),
];

/** The bytes of a whole tiny model of the llama architecture. */
export const tinyLlama = (
  more: Readonly<Record<string, Value>> = {},
  tensors: readonly GgufTensorToWrite[] = [...outside, ...attention, ...dense],
): Uint8Array => gguf({ ...keys("llama"), ...tokenizer, ...more }, tensors);
