/**
 * The cursor over a checkpoint from which layers are built: `weights.at("self_attn").column("q_proj")` finds the tensor,
 * takes this rank's slice, picks the packed form where there is one, and returns a function.
 */
import type { Dtype, Mlx, MxArray, Packed, Quantisation } from "./array.ts";

/** Part of a tensor along one axis: `index` of `count` equal parts. */
export interface TensorSlice {
  readonly axis: number;
  readonly index: number;
  readonly count: number;
}

/** Some of `count` equal parts along an axis, in this order; one may be there twice. */
export interface Parts {
  readonly indices: readonly number[];
  readonly count: number;
}

/** Where tensors come from: a Hugging Face folder, a GGUF file, or a test's own. Names are Hugging Face's. */
export interface TensorSource {
  has(name: string): boolean;
  /**
   * A new array, owned by the scope it is asked for in. Throws Problem naming the tensor and the file when it is missing
   * or cut short.
   */
  tensor(name: string, slice?: TensorSlice): MxArray;
  shapeOf(name: string): readonly number[];
  /** How the module at this path is packed, if it is; the paths are those of config.json's overrides. */
  quantisation(path: string): Quantisation | undefined;
}

/** A layer is a function; its weights live as long as the source that made them. */
export type Layer = (x: MxArray) => MxArray;

/** A product with a weight [out, in], and what it is made of. */
export interface Projection {
  (x: MxArray): MxArray;
  readonly weight: MxArray | Packed;
  readonly bias: MxArray | undefined;
}

/** A norm, of rows or of a residual: then both the sum and its norm are wanted. */
export interface Norm {
  readonly weight: MxArray;
  readonly eps: number;
  readonly of: Layer;
  readonly ofSum: (x: MxArray, y: MxArray) => readonly [sum: MxArray, normed: MxArray];
}

/** A token embedding: rows by id, and the same table as an output head where it is tied. */
export interface Embedding {
  readonly rows: Layer;
  readonly asLinear: Layer;
}

/** Experts of one projection, stacked: this [.., 1, 1, in], ids [.., k] → [.., k, 1, out]. */
export type ExpertLayer = (x: MxArray, experts: MxArray, sorted: boolean) => MxArray;

/**
 * The other ranks of a model whose layers several workers share, as one of them sees them. All of them call the same of these in the
 * same order, with parts of the same shape.
 */
export interface Collective {
  /** What all ranks' parts add up to, in the order of the ranks: the same bits on each. */
  sum(part: MxArray): MxArray;
  /** All ranks' parts one behind the other along the last axis; only the rank that samples needs it, another may be given its own part. */
  gather(part: MxArray): MxArray;
}

export interface Weights {
  readonly path: string;
  /** Where the tensors live: what a layer makes for itself at build time (rope periods) is made there. */
  readonly mlx: Mlx;
  /** What computation runs in: activations, norms, caches. */
  readonly dtype: Dtype;
  readonly rank: number;
  readonly world: number;
  /** Where `world` is more than 1, and only there. */
  readonly collective: Collective | undefined;
  at(name: string | number): Weights;
  has(name: string): boolean;
  /** Output rows split over ranks; with `parts` these of them, which other ranks may have too. */
  column(name: string, parts?: Parts): Projection;
  /** Input columns split over ranks: the caller sums over them (`collective`). The bias is in the first rank's part. */
  row(name: string): Projection;
  /** Whole on every rank. */
  linear(name: string): Projection;
  embedding(name: string): Embedding;
  /** An embedding as an output head, or a head of its own: this rank's rows of it, or all where the ranks cannot share them. */
  head(name: string): Projection;
  rmsNorm(name: string, eps: number): Norm;
  /** Experts under `name` (stacked), sliced like column or row inside each expert. */
  experts(name: string, split: "column" | "row"): ExpertLayer;
  /** A bare tensor, unsliced. */
  tensor(name: string): MxArray;
  /** The packed or dense matrix itself, where a model needs it. */
  matrix(name: string): MxArray | Packed;
}
