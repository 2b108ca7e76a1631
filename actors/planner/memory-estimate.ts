/** How much memory a shard takes: weights by their real sizes, keys and values, the work of a prompt, and the process itself. */
import { keptByRank, type LayerShape, type ModelShape } from "#protocol/model-shape";
import type { Machine, Wish } from "./home.ts";

/** A worker without any model: runtime, libraries, tokenizer. Measured: 125 to 130 MB with vocabularies of 32,000 to 49,152. */
const PROCESS_BYTES = 130e6;
/** Left to everything else on a machine; the engine refuses work below 128 MB of free memory. */
const RESERVE_BYTES_MIN = 256e6;
/** Part of what is free now and may be taken by other programs meanwhile. */
const RESERVE_SHARE = 0.05;
/** Caches grow in steps of so many rows. */
const KV_STEP = 256;
/** Copies of hidden state that live at once inside a layer: residual, norm, queries, keys and values, sum. */
const HIDDEN_COPIES = 5;
/** A token's row for each of its experts, before and after them. */
const GATHERED_COPIES = 2;
/** Caches that grow leave room behind, which the system gets back only at rest: measured, up to so much of what they hold. */
const GROWN_SHARE = 0.5;
/** Gate, up, and their product. */
const FEED_FORWARD_COPIES = 3;

/** What is free for shards once the reserve is set aside. */
export const usableBytes = ({ freeBytes }: Pick<Machine, "freeBytes">): number =>
  Math.max(0, freeBytes - Math.max(RESERVE_BYTES_MIN, freeBytes * RESERVE_SHARE));

/** Keys and values of one layer for all streams, over `ranks`. A window keeps that many rows, and a chunk while a prompt is read. */
export function kvBytes(
  { heads, kvHeads, headDims }: ModelShape,
  { window }: LayerShape,
  { context, streams, kvBytes: each, chunk }: Wish,
  ranks = 1,
): number {
  const all = Math.ceil(context / KV_STEP) * KV_STEP;
  const rows = window === undefined ? all : Math.min(all, window + chunk);
  return (1 + GROWN_SHARE) * 2 * keptByRank(heads, kvHeads, ranks) * headDims * each * rows * streams;
}

/** Weights of one layer on one of `ranks`. */
export function layerBytes(
  { heads, kvHeads }: Pick<ModelShape, "heads" | "kvHeads">,
  { bytes, wholeBytes, kvBytes: kv = 0 }: LayerShape,
  ranks = 1,
): number {
  const kept = keptByRank(heads, kvHeads, ranks) / kvHeads;
  return wholeBytes + (bytes - wholeBytes - kv) / ranks + kv * kept;
}

/** What any shard takes besides weights, keys and values; layers are computed one after the other, in the same memory. */
export function workBytes(model: ModelShape, wish: Wish, activationBytes: number, ranks = 1): number {
  const { hidden, feedForward, vocabulary, experts } = model;
  const chunk = Math.min(wish.chunk, wish.context);
  const chosen = experts ? experts.used : 1;
  const gathered = experts ? GATHERED_COPIES * chosen * hidden : 0;
  const perToken = HIDDEN_COPIES * hidden + gathered + (FEED_FORWARD_COPIES * chosen * feedForward) / ranks;
  return PROCESS_BYTES + activationBytes * (chunk * perToken + vocabulary * wish.streams);
}

export interface ShardBytes {
  readonly weights: number;
  readonly kv: number;
  readonly work: number;
}

/** One rank's share of the layers from `start` to `end`, with embedding and head where it has those ends. */
export function shardBytes(
  model: ModelShape,
  wish: Wish,
  { start, end, ranks = 1, activationBytes }: ShardSize,
): ShardBytes {
  const layers = model.layers.slice(start, end);
  const [first, last] = [start === 0, end === model.layers.length];
  const embedding = first && !(last && model.tied) ? model.embeddingBytes : 0;
  const ends = embedding + (last ? model.headBytes : 0);
  return {
    weights: layers.reduce((sum, layer) => sum + layerBytes(model, layer, ranks), ends),
    kv: layers.reduce((sum, layer) => sum + kvBytes(model, layer, wish, ranks), 0),
    work: workBytes(model, wish, activationBytes, ranks),
  };
}

export interface ShardSize {
  readonly start: number;
  readonly end: number;
  readonly ranks?: number;
  readonly activationBytes: number;
}
