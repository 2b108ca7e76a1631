/** What a GGUF file's metadata means: config, tokenizer, sampling, and models that cannot be used. */
import { afterAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { readCheckpoint } from "#actors/shard-worker/weights/checkpoint";
import { f32, gguf, text, u32, type Value } from "./gguf-writer.ts";
import { refusal } from "./refusal.ts";
import { temporaryFolder, write } from "./safetensors-writer.ts";
import { attention, dense, experts, F32, keys, outside, tinyLlama, tokenizer } from "./tiny-models.ts";

const folder = temporaryFolder();
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, "model.gguf");
const open = (bytes: Uint8Array) => readCheckpoint(write(file, bytes));
const opening = (bytes: Uint8Array) => refusal(() => open(bytes), folder);

describe("metadata becomes the config of", () => {
  const common = {
    hidden_size: 64,
    num_hidden_layers: 1,
    intermediate_size: 96,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    head_dim: 32,
    rms_norm_eps: 2 ** -17,
    vocab_size: 4,
    max_position_embeddings: 128,
    attention_bias: false,
    mlp_bias: false,
    tie_word_embeddings: true,
    rope_parameters: { rope_theta: 10_000, rope_type: "default" },
  };
  const config = (
    architecture: string,
    more: Readonly<Record<string, Value>>,
    ...parts: readonly (typeof dense)[]
  ) =>
    open(gguf({ ...keys(architecture), ...tokenizer, ...more }, [...outside, ...attention, ...parts.flat()]))
      .config;

  test("llama, with its own head, its own head size, and every rope scaling", () => {
    const head = { name: "output.weight", type: F32, shape: [4, 64], data: new Uint8Array(1024) };
    const freqs = {
      name: "rope_freqs.weight",
      type: F32,
      shape: [2],
      data: new Uint8Array(Float32Array.of(1, 8).buffer),
    };
    const rope = (more: Readonly<Record<string, Value>>) => config("llama", more, dense).rope_parameters;
    expect([
      config("llama", {}, dense),
      config("llama", {}, dense, [head]).tie_word_embeddings,
      rope({ "llama.rope.freq_base": f32(500_000), "llama.rope.dimension_count": u32(16) }),
      rope({ "llama.rope.scaling.type": text("linear"), "llama.rope.scaling.factor": f32(4) }),
      rope({ "llama.rope.scale_linear": f32(2) }),
      rope({
        "llama.rope.scaling.type": text("yarn"),
        "llama.rope.scaling.factor": f32(4),
        "llama.rope.scaling.original_context_length": u32(32),
      }),
      config("llama", {}, dense, [freqs]).rope_parameters,
    ]).toEqual([
      { model_type: "llama", ...common },
      false,
      { rope_theta: 500_000, rope_type: "default", partial_rotary_factor: 0.5 },
      { rope_theta: 10_000, rope_type: "linear", factor: 4 },
      { rope_theta: 10_000, rope_type: "linear", factor: 2 },
      { rope_theta: 10_000, rope_type: "yarn", factor: 4, original_max_position_embeddings: 32 },
      { rope_theta: 10_000, rope_type: "longrope", long_factor: [1, 8], factor: 1, attention_factor: 1 },
    ]);
  });

  test("mixtral, which calls itself llama", () => {
    const more = { "llama.expert_count": u32(3), "llama.expert_used_count": u32(2) };
    expect(config("llama", more, experts)).toEqual({
      model_type: "mixtral",
      ...common,
      num_local_experts: 3,
      num_experts_per_tok: 2,
    });
  });

  test("qwen2, qwen3 and qwen3moe", () => {
    const more = {
      "qwen3moe.expert_count": u32(3),
      "qwen3moe.expert_used_count": u32(2),
      "qwen3moe.expert_feed_forward_length": u32(96),
    };
    expect([
      config("qwen2", {}, dense),
      config(
        "qwen3",
        { "qwen3.attention.key_length": u32(16), "qwen3.rope.dimension_count": u32(16) },
        dense,
      ),
      config("qwen3moe", more, experts),
    ]).toEqual([
      { model_type: "qwen2", ...common },
      { model_type: "qwen3", ...common, head_dim: 16 },
      {
        model_type: "qwen3_moe",
        ...common,
        num_experts: 3,
        num_experts_per_tok: 2,
        moe_intermediate_size: 96,
        norm_topk_prob: true,
        decoder_sparse_step: 1,
        mlp_only_layers: [],
      },
    ]);
  });
});

test("tokenizer, end tokens and recommended sampling are handed on as plain data", () => {
  const { tokenizer: found, generation } = open(
    tinyLlama({ "general.sampling.temp": f32(0.5), "general.sampling.top_k": { type: "i32", value: 20 } }),
  );
  expect([found, generation]).toEqual([
    {
      model: "gpt2",
      pre: "smollm",
      tokens: ["<s>", "a", "b", "ab"],
      types: Int32Array.of(3, 1, 1, 1),
      merges: ["a b"],
      bos: 0,
      eos: 3,
      eot: 2,
      addBos: true,
      chatTemplate: "{{ messages }}",
    },
    { temperature: 0.5, topK: 20, eosTokens: [3, 2] },
  ]);
});

test("a model that cannot be used is refused by key, tensor and type", () => {
  const without = (key: string) => {
    const { [key]: _, ...rest } = { ...keys("llama"), ...tokenizer };
    return gguf(rest, [...outside, ...attention, ...dense]);
  };
  const unusable = { name: "blk.0.ffn_up.weight", type: 40, shape: [1, 256], data: new Uint8Array(144) };
  expect([
    opening(without("llama.block_count")),
    opening(without("general.architecture")),
    opening(without("tokenizer.ggml.tokens")),
    opening(tinyLlama({ "general.architecture": text("gpt2") })),
    opening(tinyLlama({ "llama.block_count": text("one") })),
    opening(tinyLlama({ "llama.block_count": u32(0) })),
    opening(tinyLlama({ "llama.block_count": u32(2 ** 31) })),
    opening(tinyLlama({ "llama.attention.head_count": u32(3) })),
    opening(tinyLlama({}, [...outside, ...attention, unusable])),
    opening(
      tinyLlama({}, [
        ...outside,
        { ...unusable, name: "blk.0.ssm_in.weight", type: F32, shape: [1], data: new Uint8Array(4) },
      ]),
    ),
    opening(
      tinyLlama({ "llama.expert_count": u32(2), "llama.expert_used_count": u32(1) }, [
        ...outside,
        { ...unusable, name: "blk.0.ffn_gate.1.weight", type: F32, shape: [1], data: new Uint8Array(4) },
      ]),
    ),
    opening(tinyLlama({ "split.count": u32(3) })),
  ]).toEqual([
    "invalid: model.gguf lacks the metadata key 'llama.block_count'",
    "invalid: model.gguf lacks the metadata key 'general.architecture'",
    "invalid: model.gguf lacks the metadata key 'tokenizer.ggml.tokens'",
    'invalid: model.gguf holds the architecture "gpt2", which is not supported',
    'invalid: model.gguf has llama.block_count = "one", which is not a number',
    "invalid: model.gguf has llama.block_count = 0, which is not a whole number above 0",
    "invalid: model.gguf has llama.block_count = 2147483648, which is not a number of layers that its 11 tensors could make",
    'invalid: model.gguf: the rows of tensor "blk.0.attn_q.weight" do not divide into the 3 and 1 heads that the metadata names',
    'invalid: model.gguf: tensor "blk.0.ffn_up.weight" is of type NVFP4, which cannot be used',
    'invalid: model.gguf holds tensor "blk.0.ssm_in.weight", which a llama model does not have',
    'invalid: model.gguf holds tensor "blk.0.ffn_gate.1.weight", which is one expert by itself',
    "invalid: model.gguf is one of 3 parts, but is not named like one (name-00001-of-00003.gguf)",
  ]);
});

test("a model in parts is read from its first, and a part that is missing is named", () => {
  const part = (n: number) => join(folder, `m-0000${n}-of-00002.gguf`);
  write(part(1), tinyLlama({ "split.count": u32(2), "split.no": u32(0) }, [...outside, ...attention]));
  const alone = refusal(() => readCheckpoint(part(1)), folder);
  write(part(2), gguf({ "split.count": u32(2), "split.no": u32(1) }, dense));
  expect([
    alone,
    readCheckpoint(part(1)).facts.tensors,
    refusal(() => readCheckpoint(part(2)), folder),
  ]).toEqual([
    "notFound: m-00002-of-00002.gguf is missing, a part of the model",
    11,
    "invalid: m-00002-of-00002.gguf is part 2 of 2",
  ]);
});
