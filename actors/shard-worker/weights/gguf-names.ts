/** GGUF's tensor names in Hugging Face's words. The names are those of llama.cpp's converters. */
import { Problem } from "#protocol/problem";
import { quoted } from "./file-bytes.ts";
import type { GgufTensor } from "./gguf.ts";

/** A tensor under its Hugging Face name. */
export interface GgufNamed {
  readonly name: string;
  readonly tensor: GgufTensor;
  /** Rows of one head where the rows were interleaved for rotary embeddings and have to be put back; else 0. */
  readonly headRows: number;
}

/** What of the config decides names and row orders. */
interface Shapes {
  readonly model_type: string;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
}

const outside: Readonly<Record<string, string>> = {
  "token_embd.weight": "model.embed_tokens.weight",
  "output_norm.weight": "model.norm.weight",
  "output.weight": "lm_head.weight",
  "output.bias": "lm_head.bias",
};

const insideLayer: Readonly<Record<string, string>> = {
  attn_norm: "input_layernorm",
  ffn_norm: "post_attention_layernorm",
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_output: "self_attn.o_proj",
  attn_q_norm: "self_attn.q_norm",
  attn_k_norm: "self_attn.k_norm",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};

/** Under the name that the architecture has for its experts' room. */
const experts: Readonly<Record<string, string>> = {
  ffn_gate_inp: "gate",
  ffn_gate_exps: "switch_mlp.gate_proj",
  ffn_up_exps: "switch_mlp.up_proj",
  ffn_down_exps: "switch_mlp.down_proj",
};

/** Read into the config (`rope_freqs`), or what the architecture computes itself. */
const notWeights = /^(rope_freqs|rope_factors_long|rope_factors_short)\.weight$|\.attn_rot_embd\.weight$/;

/** The converters interleave rows of queries and keys for these alone. */
const interleaved: ReadonlySet<string> = new Set(["llama", "mixtral"]);

/** By Hugging Face name. Throws Problem for a tensor that the architecture does not have. */
export function nameGgufTensors(
  tensors: readonly GgufTensor[],
  config: Shapes,
): ReadonlyMap<string, GgufNamed> {
  const named = tensors
    .filter(({ name }) => !notWeights.test(name))
    .map((tensor) => ({ name: hubName(tensor, config), tensor, headRows: headRows(tensor, config) }));
  return new Map(named.map((entry) => [entry.name, entry]));
}

function hubName({ name, path }: GgufTensor, { model_type: model }: Shapes): string {
  const known = outside[name];
  if (known !== undefined) return known;
  const [, layer, part = "", kind] = /^blk\.(\d+)\.(\w+)\.(weight|bias)$/.exec(name) ?? [];
  const dense = Object.hasOwn(insideLayer, part) ? insideLayer[part] : undefined;
  if (dense !== undefined) return `model.layers.${layer}.${dense}.${kind}`;
  const room = model === "mixtral" ? "block_sparse_moe" : model === "qwen3_moe" ? "mlp" : undefined;
  const expert = room !== undefined && Object.hasOwn(experts, part) ? experts[part] : undefined;
  if (expert !== undefined) return `model.layers.${layer}.${room}.${expert}.${kind}`;
  const split = /^blk\.\d+\.ffn_(gate|up|down)\.\d+\.weight$/.test(name);
  throw new Problem(
    "invalid",
    `${path} holds tensor ${quoted(name)}, which ${split ? "is one expert by itself" : `a ${model} model does not have`}`,
    {
      remedy: "convert the model again with a current converter",
    },
  );
}

function headRows({ name, shape }: GgufTensor, config: Shapes): number {
  const which = /\.attn_([qk])\.(weight|bias)$/.exec(name)?.[1];
  if (which === undefined || !interleaved.has(config.model_type)) return 0;
  const rows = (shape.length === 1 ? shape[0] : shape.at(-2)) ?? 0;
  return rows / (which === "q" ? config.num_attention_heads : config.num_key_value_heads);
}
