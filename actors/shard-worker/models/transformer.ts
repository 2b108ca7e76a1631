/** The blocks that decoder-only transformers share; a model's file says only its difference. */
import type { MxArray } from "#ffi/array";
import { isPacked } from "#ffi/nn/linear";
import { atOnce, type GatedStep, gatedStep } from "#ffi/steps";
import type { Layer, Norm, Weights } from "#ffi/weights";
import { Problem } from "#protocol/problem";
import type { LayerRange } from "#protocol/shard";
import type { AttentionMask, Cache } from "../cache/cache.ts";
import { KvCache } from "../cache/kv.ts";
import { RotatingCache } from "../cache/rotating.ts";
import { needBiases } from "./attention.ts";
import { misfit } from "./fit.ts";
import type { Model, Wanted } from "./model.ts";
import { normOf, type Pass, type Residual, type ResidualBlock, whole } from "./residual.ts";

export interface Blueprint {
  readonly layers: number;
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  readonly contextLength: number | undefined;
  readonly normEps: number;
  /** The embedding is the output head too. */
  readonly tied: boolean;
  block(w: Weights, layer: number): ResidualBlock;
  /** Tokens that a layer's attention reaches back, itself included; undefined: all. */
  window?(layer: number): number | undefined;
}

/** The layers of `range` between embedding and head, each of which only the shard at its end has. */
export function transformer(blueprint: Blueprint, weights: Weights, range?: LayerRange): Model {
  const { layers } = blueprint;
  const { start, end } = range ?? { start: 0, end: layers };
  if (start < 0 || end > layers || start >= end) {
    throw new Problem("invalid", `layers ${start} to ${end} of a model that has ${layers}`, {
      param: "layers",
    });
  }
  const model = weights.at("model");
  const numbers = Array.from({ length: end - start }, (_, i) => start + i);
  const windows = numbers.map((layer) => blueprint.window?.(layer));
  const enter = start === 0 ? embedding(model, blueprint.vocabularySize) : undefined;
  const blocks = numbers.map((layer) => blueprint.block(model.at("layers").at(layer), layer));
  const leave = end === layers ? head(blueprint, weights) : undefined;
  const cacheOf = (caches: readonly Cache[], i: number): Cache => {
    const cache = caches[i];
    if (!cache) throw new Error(`no cache for layer ${start + i}`);
    return cache;
  };

  const forward: Model["forward"] = (input, caches, wanted) => {
    const [batch = 1, length = 1] = input.shape;
    const maskOf = masks(input, windows, caches, length);
    // A single token is written into its caches by the attention itself, which nobody asks for where the caches are all there is to it.
    const isStep = length === 1 && !(leave && wanted === "hidden");
    let x: Residual = { trunk: enter ? enter(input) : input };
    for (const [i, block] of blocks.entries()) {
      const cache = cacheOf(caches, i);
      const pass = { batch, length, caches: [cache], mask: maskOf(windows[i], cache) };
      x = isStep ? block(x, pass) : computed(block, x, pass, input);
      if (isStep) begun(x, i);
    }
    return leave ? leave(x, wanted, length) : whole(x);
  };
  const decode: Model["decode"] = (input, sequences) => {
    const common = { batch: sequences.length, length: 1, mask: "none" } as const;
    let x: Residual = { trunk: enter ? enter(input) : input };
    for (const [i, block] of blocks.entries()) {
      x = block(x, { ...common, caches: sequences.map((caches) => cacheOf(caches, i)) });
      begun(x, i);
    }
    return leave ? leave(x, "last", 1) : whole(x);
  };

  return {
    range: { start, end },
    layers,
    vocabularySize: blueprint.vocabularySize,
    hiddenSize: blueprint.hiddenSize,
    dtype: weights.dtype,
    contextLength: blueprint.contextLength,
    caches: (as) =>
      windows.map((window) => (window === undefined ? new KvCache(as) : new RotatingCache(window, as))),
    forward: (input, caches, wanted) =>
      input.shape[1] === 1
        ? atOnce(input.mlx, () => forward(input, caches, wanted))
        : forward(input, caches, wanted),
    decode: (input, sequences) => atOnce(input.mlx, () => decode(input, sequences)),
  };
}

/**
 * One layer over many tokens, computed at once. MLX's host thread makes room for operations long before their turn comes:
 * left to itself it would hold what lies between the operations of several layers. Waiting costs nothing measurable
 * beside products of whole prompts. What went in is freed, but for the caller's own `input`.
 */
function computed(block: ResidualBlock, x: Residual, pass: Pass, input: MxArray): Residual {
  const { mlx } = x.trunk;
  const trunk = mlx.scope((keep) => {
    const made = whole(block(x, pass));
    keep(pass.caches.flatMap((cache) => cache.arrays()));
    return made;
  });
  mlx.eval([trunk]);
  if (x.trunk !== input) x.trunk.dispose();
  return { trunk };
}

/** A token's layers are begun in so many at a time: each beginning costs some 10 us, and the first ones should not wait. */
const LAYERS_AT_ONCE = 6;

/** Lets the layers so far be computed while the graph of those that follow is made. */
function begun({ trunk, branch }: Residual, layer: number): void {
  if (layer % LAYERS_AT_ONCE === 0) trunk.mlx.begin(branch ? [trunk, branch] : [trunk]);
}

/** MLX does not look whether a row exists, so a table that is too short would be read beyond its end. */
function embedding(model: Weights, vocabularySize: number): Layer {
  const table = model.matrix("embed_tokens");
  const [rows] = (isPacked(table) ? table.weight : table).shape;
  if (rows !== vocabularySize)
    throw misfit(`vocab_size is ${vocabularySize}, ${model.path}.embed_tokens has ${rows} rows`);
  return model.embedding("embed_tokens").rows;
}

/** One mask per kind of attention, made from the first cache of its kind: all of a kind stand at the same offset. */
function masks(
  input: MxArray,
  windows: readonly (number | undefined)[],
  caches: readonly Cache[],
  length: number,
): (window: number | undefined, cache: Cache) => AttentionMask {
  if (length === 1) return () => "none";
  const made = new Map<number | undefined, AttentionMask>();
  for (const [i, window] of windows.entries()) {
    const cache = caches[i];
    if (cache && !made.has(window)) made.set(window, cache.mask(length, input.mlx));
  }
  return (window, cache) => made.get(window) ?? cache.mask(length, input.mlx);
}

/** Final norm and output head over as few positions as are wanted. */
function head({ normEps, tied, vocabularySize }: Blueprint, weights: Weights) {
  const model = weights.at("model");
  const norm = model.rmsNorm("norm", normEps);
  const { collective } = weights;
  const rows = tied ? model.head("embed_tokens") : weights.head("lm_head");
  const isShared = collective && vocabularySize % weights.world === 0;
  const unembed: Layer = isShared ? (x) => collective.gather(rows(x)) : rows;
  return (x: Residual, wanted: Wanted, length: number): MxArray => {
    if (wanted === "hidden") return whole(x);
    const last = (y: MxArray): MxArray =>
      wanted === "all" || length === 1 ? y : y.slice(1, length - 1, length);
    const ends = { trunk: last(x.trunk), ...(x.branch && { branch: last(x.branch) }) };
    const [, normed] = normOf(norm, ends);
    return wanted === "all" ? unembed(normed) : unembed(normed).squeeze(1);
  };
}

export interface BlockOptions {
  readonly normEps: number;
  readonly attention: (w: Weights, norm: Norm) => ResidualBlock;
  readonly feedForward: (w: Weights) => FeedForward;
}

/** A layer over normalised rows; `fused`, where there is one, gives the same of a residual and its norm in one step. */
export interface FeedForward {
  (x: MxArray): MxArray;
  readonly fused?: (norm: Norm) => GatedStep;
}

/** Pre-norm residual block, as in Llama: x + attention(norm(x)), then x + feedForward(norm(x)). */
export function residualBlock(w: Weights, { normEps, attention, feedForward }: BlockOptions): ResidualBlock {
  const attend = attention(w.at("self_attn"), w.rmsNorm("input_layernorm", normEps));
  const think = feedForward(w);
  const between = w.rmsNorm("post_attention_layernorm", normEps);
  const fused = think.fused?.(between);
  return (residual, pass) => {
    const attended = summed(w, attend(residual, pass));
    const pair = pass.length === 1 && fused?.(attended.trunk, attended.branch);
    if (pair) return summed(w, { trunk: pair[0], branch: pair[1] });
    const [trunk, toThink] = normOf(between, attended);
    return summed(w, { trunk, branch: think(toThink) });
  };
}

/** Each rank has made its part of the branch; the trunk is the same on all of them. */
function summed({ collective }: Weights, { trunk, branch }: Residual): Residual {
  return collective && branch
    ? { trunk, branch: collective.sum(branch) }
    : { trunk, ...(branch && { branch }) };
}

/** SwiGLU (https://arxiv.org/abs/2002.05202). `biases` says that all three projections must have one. */
export function mlp(w: Weights, biases = false): FeedForward {
  needBiases(w, biases ? ["gate_proj", "up_proj", "down_proj"] : []);
  const [gate, up, down] = [w.column("gate_proj"), w.column("up_proj"), w.row("down_proj")];
  const layer: Layer = (x) => down(gate(x).siluMul(up(x)));
  return Object.assign(layer, { fused: (norm: Norm) => gatedStep(norm, [gate, up, down]) });
}
