/** The sizes that planning needs, out of a checkpoint's headers. */
import { type Division, keptByRank, type LayerShape, type ModelShape } from "#protocol/model-shape";
import type { LayerRange } from "#protocol/shard";
import { windowsOf } from "../models/windows.ts";
import type { ModelConfig } from "./config.ts";

/** One tensor as it is held, by the name that models use. */
export interface SizedTensor {
  readonly name: string;
  readonly bytes: number;
  /** Values, unpacked. */
  readonly values: number;
  /** Columns that share a scale; 1 where it is not packed. */
  readonly group: number;
}

export function modelShape(tensors: readonly SizedTensor[], config: ModelConfig): ModelShape {
  const number = (key: string): number | undefined => {
    const value = config[key];
    return typeof value === "number" ? value : undefined;
  };
  const { heads, kvHeads } = headsOf(config);
  const hidden = number("hidden_size") ?? 1;
  const context = number("max_position_embeddings");
  const experts = expertsOf(tensors, number);
  const layers = layersOf(tensors, config, experts);
  const total = (prefix: string) => sum(tensors.filter(({ name }) => name.startsWith(prefix)));
  const embeddingBytes = total("model.embed_tokens.");
  const ownHead = total("lm_head.");
  const tied = config.tie_word_embeddings === true || ownHead === 0;
  const shape = {
    architecture: config.model_type,
    layers,
    embeddingBytes,
    headBytes: total("model.norm.") + (tied ? embeddingBytes : ownHead),
    tied,
    hidden,
    feedForward: number("moe_intermediate_size") ?? number("intermediate_size") ?? 1,
    heads,
    kvHeads,
    headDims:
      number("head_dim") ?? (config.model_type.startsWith("qwen3") ? QWEN3_HEAD_DIMS : hidden / heads),
    vocabulary: number("vocab_size") ?? 1,
    ...(experts && { experts }),
    ...(context !== undefined && { contextLength: context }),
  };
  return { ...shape, divisions: divisionsOf(shape, tensors, number("intermediate_size") ?? 1) };
}

/**
 * What who holds these layers, or is one of the ranks that share them, holds in all: the embedding with the first of them, norm and
 * head, or the embedding again, with the last.
 */
export function weightBytesOf(
  tensors: readonly SizedTensor[],
  config: ModelConfig,
  { ranks = 1, ...range }: LayerRange & { readonly ranks?: number },
): number {
  const held = tensors.filter(heldBy(tensors, config, range));
  const { heads, kvHeads } = headsOf(config);
  const kept = keptByRank(heads, kvHeads, ranks) / kvHeads;
  const of = (cut: RegExp) => sum(held.filter(({ name }) => cut.test(name)));
  const [all, kv] = [of(CUT), of(KV)];
  return sum(held) - Math.floor(((all - kv) * (ranks - 1)) / ranks + kv * (1 - kept));
}

function headsOf(config: ModelConfig): Pick<ModelShape, "heads" | "kvHeads"> {
  const number = (key: string) => (typeof config[key] === "number" ? config[key] : undefined);
  const heads = number("num_attention_heads") ?? 1;
  return { heads, kvHeads: number("num_key_value_heads") ?? heads };
}

/** Whether a tensor is one of those. */
export function heldBy(
  tensors: readonly { readonly name: string }[],
  config: ModelConfig,
  { start, end }: LayerRange,
): (tensor: { readonly name: string }) => boolean {
  const isLast = end === config.num_hidden_layers;
  const tied = config.tie_word_embeddings ?? !tensors.some(({ name }) => name === "lm_head.weight");
  return ({ name }) => {
    const layer = LAYER.exec(name)?.[1];
    if (layer !== undefined) return Number(layer) >= start && Number(layer) < end;
    if (name.startsWith("model.embed_tokens.")) return start === 0 || (isLast && tied === true);
    return isLast;
  };
}

/** What transformers takes where a qwen3's `head_dim` is absent. */
const QWEN3_HEAD_DIMS = 128;
const LAYER = /^model\.layers\.(\d+)\./;
const STACKED = /\.switch_mlp\./;
/** Matrices that each rank takes its part of; the rest of a layer is whole on every one. */
const CUT = /\.((q|k|v|o)_proj|gate_proj|up_proj|down_proj)\./;
/** Of these, those whose heads several ranks may hold. */
const KV = /\.(k|v)_proj\./;

const sum = (tensors: readonly SizedTensor[]): number => tensors.reduce((all, { bytes }) => all + bytes, 0);

function expertsOf(
  tensors: readonly SizedTensor[],
  number: (key: string) => number | undefined,
): ModelShape["experts"] {
  if (!tensors.some(({ name }) => STACKED.test(name))) return undefined;
  const count = number("num_local_experts") ?? number("num_experts") ?? MIXTRAL.count;
  return { count, used: Math.min(count, number("num_experts_per_tok") ?? MIXTRAL.used) };
}
/** What transformers takes where a Mixtral config does not say. */
const MIXTRAL = { count: 8, used: 2 };

function layersOf(
  tensors: readonly SizedTensor[],
  config: ModelConfig,
  experts: ModelShape["experts"],
): LayerShape[] {
  const byLayer = new Map<number, SizedTensor[]>();
  for (const tensor of tensors) {
    const layer = LAYER.exec(tensor.name)?.[1];
    if (layer === undefined) continue;
    const own = byLayer.get(Number(layer));
    if (own) own.push(tensor);
    else byLayer.set(Number(layer), [tensor]);
  }
  return windowsOf(config).map((window, layer) => {
    const own = byLayer.get(layer) ?? [];
    const stacked = own.filter(({ name }) => STACKED.test(name));
    const used = experts ? experts.used / experts.count : 1;
    const flops = own
      .filter(({ name }) => name.endsWith(".weight"))
      .reduce((all, { name, values }) => all + 2 * values * (STACKED.test(name) ? used : 1), 0);
    return {
      bytes: sum(own),
      kvBytes: sum(own.filter(({ name }) => KV.test(name))),
      wholeBytes: sum(own.filter(({ name }) => !CUT.test(name))),
      ...(stacked.length > 0 && { expertBytes: sum(stacked) }),
      flops,
      ...(window !== undefined && { window }),
    };
  });
}

/** Rows are cut between heads and between neurons, columns besides between groups that share a scale. */
function divisionsOf(
  { heads, headDims, feedForward }: Pick<ModelShape, "heads" | "headDims" | "feedForward">,
  tensors: readonly SizedTensor[],
  dense: number,
): Division[] {
  const groupOf = (pattern: RegExp) =>
    Math.max(1, ...tensors.filter(({ name }) => pattern.test(name)).map(({ group }) => group));
  const stacked = groupOf(/\.switch_mlp\.down_proj\.weight$/);
  const hasExperts = tensors.some(({ name }) => STACKED.test(name));
  const hasDense = tensors.some(({ name }) => /\.mlp\.down_proj\.weight$/.test(name));
  return [
    { what: "attention heads", size: heads, piece: 1 },
    { what: "attention columns", size: heads * headDims, piece: groupOf(/\.o_proj\.weight$/) },
    ...(hasDense
      ? [{ what: "feed-forward columns", size: dense, piece: groupOf(/\.mlp\.down_proj\.weight$/) }]
      : []),
    ...(hasExperts ? [{ what: "expert columns", size: feedForward, piece: stacked }] : []),
  ];
}
