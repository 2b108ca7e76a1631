import { expect, test } from "bun:test";
import { weightsOf } from "#ffi/cursor";
import { createShapes } from "#ffi/shapes";
import type { Collective, TensorSource, Weights } from "#ffi/weights";
import { Problem } from "#protocol/problem";
import { buildModel, supportedModelTypes } from "./registry.ts";

const VOCABULARY = 320;
const HIDDEN = 128;
const FF = 192;
const HEADS = 4;
const KV_HEADS = 2;

const base = {
  hidden_size: HIDDEN,
  num_hidden_layers: 3,
  intermediate_size: FF,
  num_attention_heads: HEADS,
  num_key_value_heads: KV_HEADS,
  rms_norm_eps: 1e-5,
  vocab_size: VOCABULARY,
  max_position_embeddings: 4096,
};

const configs: Readonly<Record<string, object>> = {
  llama: { ...base, head_dim: 48, attention_bias: true, mlp_bias: true },
  mistral: { ...base, sliding_window: 8 },
  mixtral: { ...base, num_local_experts: 4, num_experts_per_tok: 2 },
  qwen2: { ...base, tie_word_embeddings: true },
  qwen3: { ...base, head_dim: 48 },
  qwen3_moe: {
    ...base,
    head_dim: 48,
    num_experts: 8,
    num_experts_per_tok: 3,
    moe_intermediate_size: 64,
    mlp_only_layers: [1],
    norm_topk_prob: true,
  },
};

/** Answers any name with the shape that the architecture gives it, and notes what was asked for. */
function source(modelType: string, world = 1) {
  const asked: string[] = [];
  const mlx = createShapes();
  const dims = modelType === "llama" || modelType.startsWith("qwen3") ? 48 : HIDDEN / HEADS;
  const moe: Record<string, [experts: number, ff: number]> = { mixtral: [4, FF], qwen3_moe: [8, 64] };
  const [experts = 0, expertFf = 0] = moe[modelType] ?? [];
  const rows = (name: string): number => {
    if (/(embed_tokens|lm_head)/.test(name)) return VOCABULARY;
    if (name.includes("q_proj")) return HEADS * dims;
    if (/[kv]_proj/.test(name)) return KV_HEADS * dims;
    if (name.includes("switch_mlp")) return /down_proj/.test(name) ? HIDDEN : expertFf;
    if (/(mlp|block_sparse_moe)\.gate\./.test(name)) return experts;
    return /(gate|up)_proj/.test(name) ? FF : HIDDEN;
  };
  const columns = (name: string): number => {
    if (name.includes("o_proj")) return HEADS * dims;
    if (name.includes("down_proj")) return name.includes("switch_mlp") ? expertFf : FF;
    return HIDDEN;
  };
  const shapeOf = (name: string): number[] => {
    if (/[qk]_norm/.test(name)) return [dims];
    if (name.includes("norm")) return [HIDDEN];
    if (name.endsWith(".bias")) return [rows(name)];
    return [...(name.includes("switch_mlp") ? [experts] : []), rows(name), columns(name)];
  };
  const has = (name: string): boolean => {
    if (!name.endsWith(".bias")) return name.endsWith(".weight") && !name.includes(".bias.");
    return modelType === "llama" || (modelType === "qwen2" && /[qkv]_proj/.test(name));
  };
  const tensors: TensorSource = {
    has,
    shapeOf,
    quantisation: () => undefined,
    tensor(name, slice) {
      asked.push(slice ? `${name} ${slice.axis}:${slice.index}/${slice.count}` : name);
      const shape = shapeOf(name).map((size, axis) => (slice?.axis === axis ? size / slice.count : size));
      return mlx.zeros(shape, "float32");
    },
  };
  const collective: Collective = {
    sum: (part) => part,
    gather: (part) =>
      part.concat(
        Array.from({ length: world - 1 }, () => part),
        -1,
      ),
  };
  const weights = (rank = 0): Weights =>
    weightsOf(tensors, mlx, { dtype: "float32", rank, world, ...(world > 1 && { collective }) });
  return { mlx, asked, weights };
}

const build = (modelType: string, weights: Weights, range?: { start: number; end: number }) =>
  buildModel({ model_type: modelType, ...configs[modelType] }, weights, range);

test.each(Object.keys(configs))("%s: two pipeline shards compose to the logits of the whole", (modelType) => {
  const { mlx, weights } = source(modelType);
  const whole = build(modelType, weights());
  const first = build(modelType, weights(), { start: 0, end: 1 });
  const second = build(modelType, weights(), { start: 1, end: 3 });
  const tokens = mlx.zeros([1, 5], "int32");
  const caches = first.caches();
  const hidden = first.forward(tokens, caches, "last");
  const shapes = {
    hidden: hidden.shape,
    logits: second.forward(hidden, second.caches(), "last").shape,
    whole: whole.forward(tokens, whole.caches(), "last").shape,
    all: whole.forward(tokens, whole.caches(), "all").shape,
    next: first.forward(mlx.zeros([1, 1], "int32"), caches, "hidden").shape,
    offsets: caches.map(({ offset }) => offset),
  };
  expect(shapes).toEqual({
    hidden: [1, 5, HIDDEN],
    logits: [1, VOCABULARY],
    whole: [1, VOCABULARY],
    all: [1, 5, VOCABULARY],
    next: [1, 1, HIDDEN],
    offsets: [6],
  });
});

test.each(["mixtral", "qwen3_moe"])("%s: many tokens go through their experts sorted", (modelType) => {
  const { mlx, weights } = source(modelType);
  const model = build(modelType, weights());
  const logits = model.forward(mlx.zeros([1, 70], "int32"), model.caches(), "all");
  expect(logits.shape).toEqual([1, 70, VOCABULARY]);
});

test("a shard asks for the tensors of its own layers only", () => {
  const { asked, weights } = source("qwen3_moe");
  build("qwen3_moe", weights(), { start: 1, end: 2 });
  const layer = "model.layers.1";
  expect(asked.sort()).toEqual([
    `${layer}.input_layernorm.weight`,
    `${layer}.mlp.down_proj.weight`,
    `${layer}.mlp.gate_proj.weight`,
    `${layer}.mlp.up_proj.weight`,
    `${layer}.post_attention_layernorm.weight`,
    `${layer}.self_attn.k_norm.weight`,
    `${layer}.self_attn.k_proj.weight`,
    `${layer}.self_attn.o_proj.weight`,
    `${layer}.self_attn.q_norm.weight`,
    `${layer}.self_attn.q_proj.weight`,
    `${layer}.self_attn.v_proj.weight`,
  ]);
});

test("a rank takes its share of heads and of the feed-forward", () => {
  const { asked, weights, mlx } = source("qwen2", 2);
  const model = build("qwen2", weights(1), { start: 2, end: 3 });
  const out = model.forward(mlx.zeros([1, 4, HIDDEN], "float32"), model.caches(), "last");
  expect({ sliced: asked.filter((name) => name.includes(" ")).sort(), out: out.shape }).toEqual({
    sliced: [
      "model.embed_tokens.weight 0:1/2",
      "model.layers.2.mlp.down_proj.weight 1:1/2",
      "model.layers.2.mlp.gate_proj.weight 0:1/2",
      "model.layers.2.mlp.up_proj.weight 0:1/2",
      "model.layers.2.self_attn.k_proj.bias 0:1/2",
      "model.layers.2.self_attn.k_proj.weight 0:1/2",
      "model.layers.2.self_attn.o_proj.weight 1:1/2",
      "model.layers.2.self_attn.q_proj.bias 0:1/2",
      "model.layers.2.self_attn.q_proj.weight 0:1/2",
      "model.layers.2.self_attn.v_proj.bias 0:1/2",
      "model.layers.2.self_attn.v_proj.weight 0:1/2",
    ],
    out: [1, VOCABULARY],
  });
});

test("a tied model never asks for a head, an untied one does", () => {
  const tied = source("qwen2");
  build("qwen2", tied.weights());
  const untied = source("qwen3");
  build("qwen3", untied.weights());
  expect([tied.asked.includes("lm_head.weight"), untied.asked.includes("lm_head.weight")]).toEqual([
    false,
    true,
  ]);
});

const problemOf = (work: () => unknown): Pick<Problem, "kind" | "message" | "param" | "remedy"> => {
  try {
    work();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const { kind, message, param, remedy } = error;
    return { kind, message, ...(param !== undefined && { param }), ...(remedy !== undefined && { remedy }) };
  }
  throw new Error("nothing was thrown");
};

test("an unknown model_type is refused with the list of those that are known", () => {
  expect(problemOf(() => buildModel({ model_type: "rwkv7" }, source("llama").weights()))).toEqual({
    kind: "invalid",
    message: "model_type 'rwkv7' is not supported",
    param: "model_type",
    remedy: `supported are ${supportedModelTypes.join(", ")}`,
  });
});

const remedy = "fetch the model again, or correct its config.json";

test.each([
  [{ hidden_size: null }, "config.json lacks 'hidden_size'", "hidden_size"],
  [{ vocab_size: "many" }, `config.json has vocab_size = "many": Expected integer`, "vocab_size"],
])("a config with %j is refused by key", (change, message, param) => {
  const config = { model_type: "llama", ...base, ...change };
  expect(problemOf(() => buildModel(config, source("llama").weights()))).toEqual({
    kind: "invalid",
    message,
    param,
    remedy,
  });
});

test("three ranks cannot share two key-value heads", () => {
  expect(problemOf(() => build("qwen2", source("qwen2", 3).weights()))).toEqual({
    kind: "invalid",
    message: "num_attention_heads is 4, which 3 ranks cannot share evenly",
    param: "world",
    remedy: "use a number of ranks that divides 4",
  });
});

test("a bias that the config promises and the file lacks is an error", () => {
  const { message } = problemOf(() =>
    buildModel({ model_type: "qwen2", ...base }, source("mistral").weights()),
  );
  expect(message).toBe(
    "the checkpoint lacks tensor model.layers.0.self_attn.q_proj.bias, which its config asks for",
  );
});
