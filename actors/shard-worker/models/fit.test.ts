import { expect, test } from "bun:test";
import { builtMlx } from "#ffi/built-library";
import { weightsOf } from "#ffi/cursor";
import type { TensorSource } from "#ffi/weights";
import { Problem } from "#protocol/problem";
import { checkFit } from "./fit.ts";
import { buildModel } from "./registry.ts";

const mlx = builtMlx();
const config = {
  model_type: "llama",
  hidden_size: 64,
  num_hidden_layers: 1,
  intermediate_size: 96,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  rms_norm_eps: 1e-5,
  vocab_size: 40,
};
const shapes: Readonly<Record<string, readonly number[]>> = {
  "model.embed_tokens.weight": [40, 64],
  "lm_head.weight": [40, 64],
  "model.norm.weight": [64],
  "model.layers.0.input_layernorm.weight": [64],
  "model.layers.0.post_attention_layernorm.weight": [64],
  "model.layers.0.self_attn.q_proj.weight": [64, 64],
  "model.layers.0.self_attn.k_proj.weight": [32, 64],
  "model.layers.0.self_attn.v_proj.weight": [32, 64],
  "model.layers.0.self_attn.o_proj.weight": [64, 64],
  "model.layers.0.mlp.gate_proj.weight": [96, 64],
  "model.layers.0.mlp.up_proj.weight": [96, 64],
  // Four-bit words, whatever the rule says.
  "model.layers.0.mlp.down_proj.weight": [64, 12],
  "model.layers.0.mlp.down_proj.scales": [64, 3],
  "model.layers.0.mlp.down_proj.biases": [64, 3],
};

/** The message that loading ends with; undefined where all fits. */
function refusal(change: object, tensors: Readonly<Record<string, readonly number[]>> = {}, bits: 4 | 8 = 4) {
  const all = { ...shapes, ...tensors };
  const shapeOf = (name: string) => all[name] ?? [];
  const source: TensorSource = {
    has: (name) => name in all,
    shapeOf,
    quantisation: (path) =>
      path.endsWith("down_proj") ? { mode: "affine", bits, groupSize: 32 } : undefined,
    tensor: (name) => mlx.zeros(shapeOf(name), name.endsWith("down_proj.weight") ? "uint32" : "float32"),
  };
  return mlx.scope(() => {
    try {
      const model = buildModel({ ...config, ...change }, weightsOf(source, mlx, { dtype: "float32" }));
      const built = mlx.liveHandles();
      checkFit(model, mlx);
      expect(mlx.liveHandles()).toBe(built);
      return undefined;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return `${error.kind} ${error.message}`;
    }
  });
}

test("weights that fit their config are taken, and nothing is left of the check", () => {
  expect(refusal({})).toBeUndefined();
});

const start = "invalid the weights do not fit config.json: ";

test.each([
  ["a larger vocabulary", { vocab_size: 50 }, {}, "vocab_size is 50, model.embed_tokens has 40 rows"],
  [
    "a head of another size",
    {},
    { "lm_head.weight": [39, 64] },
    "vocab_size is 40, the output head has 39 rows",
  ],
  ["other heads", { num_key_value_heads: 2 }, {}, "cached_attention of [1, 1, 64], [1, 1, 32]"],
  ["heads that do not divide", { num_attention_heads: 3 }, {}, "cached_attention of [1, 1, 64]"],
  [
    "a norm of another width",
    {},
    { "model.norm.weight": [32] },
    "add_rms_norm of [1, 1, 64], [1, 1, 64], [32]: ",
  ],
] satisfies [string, object, Record<string, number[]>, string][])(
  "refused before the first request: %s",
  (_, change, tensors, what) => {
    const message = refusal(change, tensors) ?? "";
    expect([message.startsWith(start), message.includes(what)]).toEqual([true, true]);
  },
);

test("a packed matrix of another width than its rule says is refused, not misread", () => {
  expect(refusal({}, {}, 8)).toStartWith(start);
});
