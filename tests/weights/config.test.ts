/** config.json, generation_config.json and quantisation rules of a folder, and which tensors models then see. */
import { afterAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { readCheckpoint } from "#actors/shard-worker/weights/checkpoint";
import { readFolderConfig } from "#actors/shard-worker/weights/config";
import { quantisationAt, quantisationRules } from "#actors/shard-worker/weights/config-quantisation";
import { refusal } from "./refusal.ts";
import { counted, safetensors, type TensorToWrite, temporaryFolder, write } from "./safetensors-writer.ts";

const folder = temporaryFolder();
afterAll(() => rmSync(folder, { recursive: true }));
const needed = {
  model_type: "llama",
  hidden_size: 8,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 16,
  vocab_size: 10,
};

function place(config: unknown, generation?: unknown): string {
  rmSync(folder, { recursive: true, force: true });
  write(join(folder, "config.json"), typeof config === "string" ? config : JSON.stringify(config));
  if (generation !== undefined) write(join(folder, "generation_config.json"), JSON.stringify(generation));
  return folder;
}
const reading = (config: unknown, generation?: unknown) =>
  refusal(() => readFolderConfig(place(config, generation)), folder);

test("positions are in one spelling, whichever transformers wrote", () => {
  const rope = (more: object) => readFolderConfig(place({ ...needed, ...more })).config;
  const scaling = { rope_type: "llama3", factor: 8 };
  expect([
    rope({ rope_theta: 5e5, rope_scaling: scaling }),
    rope({ rope_parameters: { rope_theta: 5e5, ...scaling } }),
    rope({ rope_theta: 1, rope_parameters: { rope_theta: 5e5, ...scaling } }),
    rope({ rope_theta: 5e5, rope_scaling: null }),
    rope({}),
  ]).toEqual([
    { ...needed, rope_parameters: { rope_theta: 5e5, ...scaling } },
    { ...needed, rope_parameters: { rope_theta: 5e5, ...scaling } },
    { ...needed, rope_parameters: { rope_theta: 5e5, ...scaling } },
    { ...needed, rope_parameters: { rope_theta: 5e5 } },
    needed,
  ]);
});

test("end tokens of generation_config.json come before those of config.json", () => {
  const ends = (config: object, generation?: object) =>
    readFolderConfig(place({ ...needed, ...config }, generation)).generation.eosTokens;
  expect([
    ends({ eos_token_id: 2 }),
    ends({ eos_token_id: 2 }, { eos_token_id: [2, 7] }),
    ends({ eos_token_id: [3] }, {}),
    ends({}),
  ]).toEqual([[2], [2, 7], [3], []]);
});

test("recommended sampling is read, and greedy where the file says not to sample", () => {
  const generation = { temperature: 0.6, top_p: 0.9, top_k: -1, min_p: null, repetition_penalty: 1.1 };
  expect([
    readFolderConfig(place(needed, generation)).generation,
    readFolderConfig(place(needed, { ...generation, do_sample: false })).generation,
  ]).toEqual([
    { temperature: 0.6, topP: 0.9, topK: 0, repetitionPenalty: 1.1, eosTokens: [] },
    { temperature: 0, topP: 0.9, topK: 0, repetitionPenalty: 1.1, eosTokens: [] },
  ]);
});

test("a config that cannot be used is refused by file, key and value", () => {
  const { vocab_size: _, ...without } = needed;
  const { model_type: __, ...typeless } = needed;
  rmSync(folder, { recursive: true, force: true });
  expect([
    refusal(() => readFolderConfig(folder), folder),
    reading("{"),
    reading([]),
    reading(typeless),
    reading({ ...needed, model_type: "gpt2" }),
    reading(without),
    reading({ ...needed, hidden_size: "8" }),
    reading({ ...needed, num_hidden_layers: 0 }),
    reading(needed, { temperature: "hot" }),
    reading(needed, { top_p: 2 }),
    reading(needed, { eos_token_id: ["x"] }),
  ]).toEqual([
    "notFound: config.json is missing",
    "invalid: config.json is not JSON: JSON Parse error: Expected '}'",
    "invalid: config.json is not a JSON object",
    "invalid: config.json lacks 'model_type'",
    "invalid: model_type 'gpt2' is not supported",
    "invalid: config.json lacks 'vocab_size'",
    'invalid: config.json has hidden_size = "8", which is not a whole number above 0',
    "invalid: config.json has num_hidden_layers = 0, which is not a whole number above 0",
    'invalid: generation_config.json has temperature = "hot", which is not a number',
    "invalid: generation_config.json recommends topP = 2, which is out of range",
    'invalid: generation_config.json has eos_token_id = ["x"], which is neither a token id nor a list of them',
  ]);
});

test("a module is packed by its own rule, by the rule for all, or not", () => {
  const rules = quantisationRules("config.json", {
    model_type: "llama",
    quantization: {
      mode: "mxfp4",
      group_size: 32,
      bits: 4,
      "model.layers.0.mlp.gate": { group_size: 64, bits: 8 },
      lm_head: false,
    },
  });
  expect([
    quantisationAt(rules, "model.layers.0.mlp.gate", true),
    quantisationAt(rules, "model.layers.0.mlp.up_proj", true),
    quantisationAt(rules, "model.layers.0.mlp.up_proj", false),
    quantisationAt(rules, "lm_head", true),
    quantisationAt(
      quantisationRules("", { model_type: "llama", quantization_config: { bits: 3 } }),
      "x",
      true,
    ),
    quantisationAt(quantisationRules("", { model_type: "llama" }), "x", true),
  ]).toEqual([
    { mode: "affine", bits: 8, groupSize: 64 },
    { mode: "mxfp4", bits: 4, groupSize: 32 },
    undefined,
    undefined,
    { mode: "affine", bits: 3, groupSize: 64 },
    undefined,
  ]);
});

test("a packing that MLX does not know is refused with what is possible", () => {
  const rules = (quantization: unknown) =>
    refusal(() => quantisationRules("config.json", { model_type: "llama", quantization }));
  expect([
    rules({ bits: 7, group_size: 64 }),
    rules({ bits: 4, x: { mode: "nvfp4", bits: 4, group_size: 32 } }),
    rules({ mode: "toString" }),
    rules("4bit"),
    refusal(() =>
      quantisationRules("config.json", { model_type: "llama", quantization_config: { quant_method: "fp8" } }),
    ),
  ]).toEqual([
    'invalid: config.json: quantization asks for mode "affine", 7 bits, groups of 64, which cannot be computed',
    'invalid: config.json: quantization of "x" asks for mode "nvfp4", 4 bits, groups of 32, which cannot be computed',
    'invalid: config.json: quantization asks for mode "toString", (nothing) bits, groups of (nothing), which cannot be computed',
    'invalid: config.json has quantization = "4bit"',
    'invalid: config.json says the weights are packed by "fp8", which is not supported',
  ]);
});

test("facts tell the packing by its share of the bytes, and the bytes", () => {
  const facts = (config: object, tensors: Readonly<Record<string, TensorToWrite>>) => {
    write(join(place({ ...needed, ...config }), "model.safetensors"), safetensors(tensors));
    return readCheckpoint(folder).facts;
  };
  const packed = { dtype: "U32", shape: [64, 8], data: new Uint8Array(2048) };
  const scales = { dtype: "F16", shape: [64, 2], data: new Uint8Array(256) };
  const half = { dtype: "BF16", shape: [512], data: new Uint8Array(1024) };
  expect([
    facts(
      { quantization: { bits: 4, group_size: 32 } },
      { "a.weight": packed, "a.scales": scales, "a.biases": scales, "b.weight": half },
    ),
    facts({}, { "a.weight": half, "b.weight": counted(1) }),
    facts(
      { tie_word_embeddings: true },
      { "a.weight": half, "lm_head.weight": half, "a.rotary_emb.inv_freq": half },
    ),
  ]).toEqual([
    { quantisation: "4-bit affine, group 32, bfloat16", weightBytes: 3584, tensors: 4 },
    { quantisation: "bfloat16", weightBytes: 1028, tensors: 2 },
    { quantisation: "bfloat16", weightBytes: 1024, tensors: 1 },
  ]);
});

test("experts that are not all there, or not alike, are refused by name", () => {
  const experts = (count: number, tensors: Readonly<Record<string, TensorToWrite>>) => {
    const config = { ...needed, model_type: "mixtral", num_local_experts: count };
    write(join(place(config), "model.safetensors"), safetensors(tensors));
    return refusal(() => readCheckpoint(folder), folder);
  };
  const name = (expert: number) => `model.layers.1.block_sparse_moe.experts.${expert}.w1.weight`;
  const two = { [name(0)]: counted(2, 3), [name(1)]: counted(2, 3) };
  const stack = '"model.layers.1.block_sparse_moe.switch_mlp.gate_proj.weight"';
  expect([
    experts(2, two),
    experts(3, two),
    experts(1, two),
    experts(2, { [name(0)]: counted(2, 3), [name(2)]: counted(2, 3) }),
    experts(2, { ...two, [name(1)]: counted(3, 2) }),
    experts(1e12, two),
  ]).toEqual([
    "no problem",
    `invalid: the checkpoint has no expert 2 of 3 for ${stack}`,
    `invalid: the checkpoint has 2 experts, where config.json says 1, for ${stack}`,
    `invalid: the checkpoint has no expert 1 of 2 for ${stack}`,
    `invalid: model.safetensors: tensor "${name(1)}" is F32 [3, 2], other experts are F32 [2, 3]`,
    `invalid: the checkpoint has no expert 2 of 1000000000000 for ${stack}`,
  ]);
});
