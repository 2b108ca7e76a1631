/** What the engine knows of a model: one shard's layers as a function, and the caches they need. */
import type { Dtype, MxArray } from "#ffi/array";
import type { Weights } from "#ffi/weights";
import type { KvQuant, LayerRange } from "#protocol/shard";
import type { Cache } from "../cache/cache.ts";

/**
 * What a forward pass is run for. "hidden": the last layer's output [B, L, hidden] (enough to fill caches: MLX computes
 * nothing that is not asked for). "last": logits of the last position [B, vocabulary]. "all": logits of every position
 * [B, L, vocabulary]. A shard without the last layer answers hidden state whatever is wanted.
 */
export type Wanted = "hidden" | "last" | "all";

export interface Model {
  readonly range: LayerRange;
  /** Layers of the whole model. */
  readonly layers: number;
  readonly vocabularySize: number;
  /** Values of one row of hidden state. */
  readonly hiddenSize: number;
  /** What it is computed in. */
  readonly dtype: Dtype;
  /** Longest context in tokens that the positions reach; undefined where the config does not say. */
  readonly contextLength: number | undefined;
  /** Fresh caches for one sequence, one per layer of the range; `as` absent: they keep what is computed in. */
  caches(as?: KvQuant): readonly Cache[];
  /**
   * `input` is token ids [B, L] for a shard with the first layer, hidden state [B, L, hidden] for another. The caches
   * take up the tokens; run it inside `mlx.scope` and keep the answer and every cache's arrays.
   */
  forward(input: MxArray, caches: readonly Cache[], wanted: Wanted): MxArray;
  /**
   * One token of each of several sequences in one pass, so that the weights are read once: `input` is token ids [B, 1] or
   * hidden state [B, 1, hidden], `sequences` the caches of each row, who may stand at different offsets. Logits
   * [B, vocabulary], or hidden state. Otherwise like `forward`, which gives the same for each row alone.
   */
  decode(input: MxArray, sequences: readonly (readonly Cache[])[]): MxArray;
}

/**
 * Makes a shard's model from its checkpoint. Build outside of scopes: the layers hold arrays for good. Throws Problem
 * naming what is wrong with the config or which tensor is missing.
 */
export type Builder = (config: unknown, weights: Weights, range?: LayerRange) => Model;
