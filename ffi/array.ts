/**
 * The array that models are written over. Two things implement it: `native.ts` (mlx-c) and `shapes.ts` (knows shapes
 * only, for tests on machines without the library). Arrays are lazy and immutable; whoever opened the scope frees them.
 */

/** MLX's element types, by the names users know. */
export type Dtype =
  | "bool" | "uint8" | "uint16" | "uint32" | "uint64" | "int8" | "int16" | "int32" | "int64"
  | "float16" | "float32" | "float64" | "bfloat16" | "complex64"; // biome-ignore format: a table

/** Which implementation of the operations that decide a model's speed: MLX's own, or the primitives of our shim. */
export type Kernels = "mlx" | "exo";

/** How a weight is packed; see models.md: affine has biases, the others do not. */
export interface Quantisation {
  readonly mode: "affine" | "mxfp4" | "mxfp8" | "nvfp4";
  readonly bits: number;
  readonly groupSize: number;
}

/** The parts of a packed weight: `weight` uint32 [out, in·bits/32], `scales` and `biases` [out, in/groupSize]. */
export interface Packed extends Quantisation {
  readonly weight: MxArray;
  readonly scales: MxArray;
  /** Affine only. */
  readonly biases?: MxArray;
}

/** Bytes of a row of `packRows`. */
export const packedWidth = (dims: number): number => dims + 2 * Math.ceil(dims / 32);

/** Rotary embedding (https://arxiv.org/abs/2104.09864) of the first `dims` channels of the last axis. */
export interface Rotation {
  readonly dims: number;
  /** true pairs channels 2i and 2i+1, false pairs i and i + dims/2. */
  readonly traditional: boolean;
  /** Exactly one of base and freqs; freqs [dims/2] are periods: the reciprocal of Hugging Face's inv_freq. */
  readonly base?: number;
  readonly freqs?: MxArray;
  readonly scale: number;
}

export interface RopeOptions extends Rotation {
  /** Position of the first row. */
  readonly offset: number;
}

/** Where one sequence's next token goes in its cache. */
export interface CacheSlot {
  /** [1, Hkv, S, D] of any float type, or made of `packRows`; memory that nothing else reads or writes. */
  readonly keys: MxArray;
  readonly values: MxArray;
  /** The token's position, the row that its key and value are written into, and how many rows it sees then. */
  readonly position: number;
  readonly row: number;
  readonly seen: number;
}

export interface CachedAttentionOptions {
  readonly scale: number;
  /** Absent: queries and keys come as they are to be compared. */
  readonly rotation?: Rotation;
}

export interface AttentionOptions {
  readonly scale: number;
  /** "causal" is aligned to the end of the keys; an array is boolean [.., L, S], true = sees. */
  readonly mask: "none" | "causal" | MxArray;
}

/** Shapes follow MLX's broadcasting rules; axis may be negative. Every method throws MlxError naming operation and shapes. */
export interface MxArray {
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  /** Constructors on the same device (or the same fake). */
  readonly mlx: Mlx;

  add(other: MxArray | number): MxArray;
  sub(other: MxArray | number): MxArray;
  mul(other: MxArray | number): MxArray;
  div(other: MxArray | number): MxArray;
  maximum(other: MxArray | number): MxArray;
  greaterEqual(other: MxArray | number): MxArray;
  greater(other: MxArray | number): MxArray;
  less(other: MxArray | number): MxArray;
  lessEqual(other: MxArray | number): MxArray;
  and(other: MxArray): MxArray;
  /** this is boolean: `yes` where true, `no` elsewhere. */
  where(yes: MxArray | number, no: MxArray | number): MxArray;
  negative(): MxArray;
  exp(): MxArray;
  log(): MxArray;
  sigmoid(): MxArray;
  /** x · sigmoid(x) */
  silu(): MxArray;
  /** silu(this) · up: the gated product of SwiGLU in one step. */
  siluMul(up: MxArray): MxArray;

  reshape(...shape: readonly number[]): MxArray;
  transpose(...axes: readonly number[]): MxArray;
  swapaxes(a: number, b: number): MxArray;
  expandDims(axis: number): MxArray;
  squeeze(axis: number): MxArray;
  broadcastTo(...shape: readonly number[]): MxArray;
  astype(dtype: Dtype): MxArray;
  contiguous(): MxArray;
  /** Elements start ≤ i < stop along one axis. */
  slice(axis: number, start: number, stop: number): MxArray;
  /** A copy of this with `update` written at `start` along one axis (in place where this is not used again). */
  sliceUpdate(update: MxArray, axis: number, start: number): MxArray;
  concat(others: readonly MxArray[], axis: number): MxArray;
  /** Rows of axis 0 by index. */
  take(indices: MxArray, axis: number): MxArray;
  takeAlongAxis(indices: MxArray, axis: number): MxArray;
  putAlongAxis(indices: MxArray, values: MxArray, axis: number): MxArray;

  sum(axis: number, keepdims?: boolean): MxArray;
  mean(axis: number, keepdims?: boolean): MxArray;
  max(axis: number, keepdims?: boolean): MxArray;
  argmax(axis: number): MxArray;
  argsort(axis: number): MxArray;
  argpartition(kth: number, axis: number): MxArray;
  sort(axis: number): MxArray;
  cumsum(axis: number): MxArray;
  logsumexp(axis: number, keepdims?: boolean): MxArray;
  softmax(axis: number): MxArray;

  /** this · other; the last two axes are the matrices. */
  matmul(other: MxArray): MxArray;
  /** this · Wᵀ (+ bias) for a dense weight [out, in]. */
  linear(weight: MxArray, bias?: MxArray): MxArray;
  /** this · Wᵀ for a packed weight. */
  quantizedLinear(weight: Packed): MxArray;
  /** this [.., 1, 1, in] against the experts [E, out, in] chosen by `experts` [.., k]: gives [.., k, 1, out]. */
  gatherLinear(weight: MxArray | Packed, experts: MxArray, sorted: boolean): MxArray;
  /** Rows of a packed embedding, dequantised: this is the integer index. */
  quantizedRows(table: Packed, dtype: Dtype): MxArray;

  /** x / sqrt(mean(x²) + eps) · weight over the last axis (https://arxiv.org/abs/1910.07467). */
  rmsNorm(weight: MxArray, eps: number): MxArray;
  /** A residual and its norm: this + other of the same shape, and rmsNorm of that. */
  addRmsNorm(other: MxArray, weight: MxArray, eps: number): readonly [sum: MxArray, normed: MxArray];
  rope(options: RopeOptions): MxArray;
  /** this = queries [B, Hq, L, D]; keys, values [B, Hkv, S, D]; query head h reads KV head h / (Hq/Hkv). Gives [B, Hq, L, D]. */
  attention(keys: MxArray, values: MxArray, options: AttentionOptions): MxArray;
  /**
   * One new token of each of B sequences: this = queries [B, .., Hq · D], keys [B, .., Hkv · D] and values, of which queries and
   * keys are rotated, keys and values written into the slots, and all rows seen there mixed: [B, 1, Hq · D]. The one operation
   * that writes into arrays it is given. Our own kernels only.
   */
  cachedAttention(
    keys: MxArray,
    values: MxArray,
    slots: readonly CacheSlot[],
    options: CachedAttentionOptions,
  ): MxArray;
  /** Rows [.., D] in a byte a value and two for the scale of each 32: uint8, for caches. Our own kernels only. */
  packRows(): MxArray;

  /** Computes now. */
  eval(): this;
  /** Evaluates and reads one value. */
  item(): number;
  /** Evaluates and copies out, in row-major order (float16 and bfloat16 become float32). */
  toFloat32(): Float32Array;
  toInt32(): Int32Array;
  /** Frees now rather than at the end of the scope; using the array afterwards is an error. */
  dispose(): void;
}

/** Constructors and the state of one device. */
export interface Mlx {
  /** MLX's own operations, or those of our shim in their place. */
  readonly kernels: Kernels;
  zeros(shape: readonly number[], dtype: Dtype): MxArray;
  full(shape: readonly number[], value: number, dtype: Dtype): MxArray;
  arange(start: number, stop: number, dtype: Dtype): MxArray;
  fromFloat32(values: Float32Array, shape: readonly number[]): MxArray;
  fromInt32(values: Int32Array, shape: readonly number[]): MxArray;
  fromUint32(values: Uint32Array, shape: readonly number[]): MxArray;
  scalar(value: number, dtype: Dtype): MxArray;
  /** Evaluates many at once. */
  eval(arrays: readonly MxArray[]): void;
  /** Begins to evaluate them and returns at once: what follows in the graph can be made meanwhile. */
  begin(arrays: readonly MxArray[]): void;
  /** Samples a row index per row of logits [B, V]: log-probabilities need no normalising. Key from `randomKey`. */
  categorical(logits: MxArray, key: MxArray): MxArray;
  randomKey(seed: bigint): MxArray;
  quantize(weight: MxArray, as: Quantisation): Packed;
  dequantize(weight: Packed, dtype: Dtype): MxArray;
  /** Frees everything made inside, except what `work` returns or `keep` was told of (then the outer scope owns it). */
  scope<T>(work: (keep: <A extends MxArray | readonly MxArray[]>(kept: A) => A) => T): T;
  /** Handles not yet freed, scopes and kept ones together. */
  liveHandles(): number;
  memory(): { readonly activeBytes: number; readonly peakBytes: number; readonly cacheBytes: number };
  clearCache(): void;
}
