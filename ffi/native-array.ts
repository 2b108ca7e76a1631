/** MxArray over mlx-c. Every method is one or two C calls; shapes and types are asked for when someone wants them. */
import type {
  AttentionOptions,
  CachedAttentionOptions,
  CacheSlot,
  Dtype,
  MxArray,
  Packed,
  RopeOptions,
} from "./array.ts";
import { readInts, some } from "./call.ts";
import { dtypeCode, dtypeName, scalarDtype } from "./dtypes.ts";
import type { mlx_array } from "./generated/symbols.ts";
import { concat, slice, sliceUpdate } from "./indexing.ts";
import type { NativeMlx } from "./native.ts";
import { readFloat32, readInt32, readItem } from "./reading.ts";
import type { Owned } from "./scope.ts";

export class NativeArray implements MxArray, Owned {
  readonly mlx: NativeMlx;
  depth = 0;
  /** The C array; 0 once freed, which C refuses by name. */
  handle: mlx_array;
  /** This with its last two axes swapped, made once for weights: a view, freed with this. */
  private swapped: mlx_array = 0;
  private knownShape: readonly number[] | undefined = undefined;
  private knownDtype: Dtype | undefined = undefined;

  constructor(handle: mlx_array, mlx: NativeMlx) {
    this.handle = handle;
    this.mlx = mlx;
    mlx.scopes.add(this);
  }

  get shape(): readonly number[] {
    const { native } = this.mlx;
    this.knownShape ??= readInts(native.array_shape(this.used()), native.array_ndim(this.handle));
    return this.knownShape;
  }
  get dtype(): Dtype {
    this.knownDtype ??= dtypeName(this.mlx.native.array_dtype(this.used()));
    return this.knownDtype;
  }
  /** The handle, for arguments where C takes 0 for "absent". */
  used(): mlx_array {
    if (this.handle === 0) throw new Error("an array was used after it was freed");
    return this.handle;
  }
  private made(handle: mlx_array): NativeArray {
    return new NativeArray(handle, this.mlx);
  }
  /** The other operand; a plain number takes this array's type where it can. */
  private other(value: MxArray | number): mlx_array {
    return typeof value === "number"
      ? this.mlx.constant(value, scalarDtype(value, this.dtype))
      : (value as NativeArray).handle;
  }

  add(other: MxArray | number): MxArray {
    return this.made(this.mlx.native.add(this.handle, this.other(other), this.mlx.stream));
  }
  sub(other: MxArray | number): MxArray {
    return this.made(this.mlx.native.subtract(this.handle, this.other(other), this.mlx.stream));
  }
  mul(other: MxArray | number): MxArray {
    return this.made(this.mlx.native.multiply(this.handle, this.other(other), this.mlx.stream));
  }
  div(other: MxArray | number): MxArray {
    return this.made(this.mlx.native.divide(this.handle, this.other(other), this.mlx.stream));
  }
  maximum(other: MxArray | number): MxArray {
    return this.made(this.mlx.native.maximum(this.handle, this.other(other), this.mlx.stream));
  }
  greaterEqual(other: MxArray | number): MxArray {
    return this.made(this.mlx.native.greater_equal(this.handle, this.other(other), this.mlx.stream));
  }
  greater(other: MxArray | number): MxArray {
    return this.made(this.mlx.native.greater(this.handle, this.other(other), this.mlx.stream));
  }
  less(other: MxArray | number): MxArray {
    return this.made(this.mlx.native.less(this.handle, this.other(other), this.mlx.stream));
  }
  lessEqual(other: MxArray | number): MxArray {
    return this.made(this.mlx.native.less_equal(this.handle, this.other(other), this.mlx.stream));
  }
  and(other: MxArray): MxArray {
    return this.made(this.mlx.native.logical_and(this.handle, this.other(other), this.mlx.stream));
  }
  where(yes: MxArray | number, no: MxArray | number): MxArray {
    const { mlx } = this;
    const dtype = typeof yes !== "number" ? yes.dtype : typeof no !== "number" ? no.dtype : "float32";
    const handleOf = (value: MxArray | number): mlx_array =>
      typeof value === "number"
        ? mlx.constant(value, scalarDtype(value, dtype))
        : (value as NativeArray).handle;
    return this.made(mlx.native.where(this.handle, handleOf(yes), handleOf(no), mlx.stream));
  }
  negative(): MxArray {
    return this.made(this.mlx.native.negative(this.handle, this.mlx.stream));
  }
  exp(): MxArray {
    return this.made(this.mlx.native.exp(this.handle, this.mlx.stream));
  }
  log(): MxArray {
    return this.made(this.mlx.native.log(this.handle, this.mlx.stream));
  }
  sigmoid(): MxArray {
    return this.made(this.mlx.native.sigmoid(this.handle, this.mlx.stream));
  }
  silu(): MxArray {
    return this.mul(this.sigmoid());
  }
  siluMul(up: MxArray): MxArray {
    return this.made(this.mlx.fast.siluMul(this, up as NativeArray));
  }

  reshape(...shape: readonly number[]): MxArray {
    const { native, words, stream } = this.mlx;
    return this.made(native.reshape(this.handle, words.first(shape), shape.length, stream));
  }
  transpose(...axes: readonly number[]): MxArray {
    const { native, words, stream } = this.mlx;
    if (axes.length === 0) return this.made(native.transpose(this.handle, stream));
    return this.made(native.transpose_axes(this.handle, words.first(axes), axes.length, stream));
  }
  swapaxes(a: number, b: number): MxArray {
    return this.made(this.mlx.native.swapaxes(this.handle, a, b, this.mlx.stream));
  }
  expandDims(axis: number): MxArray {
    return this.made(this.mlx.native.expand_dims(this.handle, axis, this.mlx.stream));
  }
  squeeze(axis: number): MxArray {
    return this.made(this.mlx.native.exo_squeeze(this.handle, axis, this.mlx.stream));
  }
  broadcastTo(...shape: readonly number[]): MxArray {
    const { native, words, stream } = this.mlx;
    return this.made(native.broadcast_to(this.handle, words.first(shape), shape.length, stream));
  }
  astype(dtype: Dtype): MxArray {
    return this.made(this.mlx.native.astype(this.handle, dtypeCode(dtype), this.mlx.stream));
  }
  contiguous(): MxArray {
    return this.made(this.mlx.native.contiguous(this.handle, false, this.mlx.stream));
  }
  slice(axis: number, start: number, stop: number): MxArray {
    return this.made(slice(this, axis, start, stop));
  }
  sliceUpdate(update: MxArray, axis: number, start: number): MxArray {
    return this.made(sliceUpdate(this, update as NativeArray, axis, start));
  }
  concat(others: readonly MxArray[], axis: number): MxArray {
    return this.made(concat([this, ...(others as readonly NativeArray[])], axis, this.mlx));
  }
  take(indices: MxArray, axis: number): MxArray {
    return this.made(
      this.mlx.native.take_axis(this.handle, (indices as NativeArray).handle, axis, this.mlx.stream),
    );
  }
  takeAlongAxis(indices: MxArray, axis: number): MxArray {
    return this.made(
      this.mlx.native.take_along_axis(this.handle, (indices as NativeArray).handle, axis, this.mlx.stream),
    );
  }
  putAlongAxis(indices: MxArray, values: MxArray, axis: number): MxArray {
    const [at, put] = [(indices as NativeArray).handle, (values as NativeArray).handle];
    return this.made(this.mlx.native.put_along_axis(this.handle, at, put, axis, this.mlx.stream));
  }

  sum(axis: number, keepdims = false): MxArray {
    return this.made(this.mlx.native.sum_axis(this.handle, axis, keepdims, this.mlx.stream));
  }
  mean(axis: number, keepdims = false): MxArray {
    return this.made(this.mlx.native.mean_axis(this.handle, axis, keepdims, this.mlx.stream));
  }
  max(axis: number, keepdims = false): MxArray {
    return this.made(this.mlx.native.max_axis(this.handle, axis, keepdims, this.mlx.stream));
  }
  argmax(axis: number): MxArray {
    return this.made(this.mlx.native.argmax_axis(this.handle, axis, false, this.mlx.stream));
  }
  argsort(axis: number): MxArray {
    return this.made(this.mlx.native.argsort_axis(this.handle, axis, this.mlx.stream));
  }
  argpartition(kth: number, axis: number): MxArray {
    return this.made(this.mlx.native.argpartition_axis(this.handle, kth, axis, this.mlx.stream));
  }
  sort(axis: number): MxArray {
    return this.made(this.mlx.native.sort_axis(this.handle, axis, this.mlx.stream));
  }
  cumsum(axis: number): MxArray {
    return this.made(
      this.mlx.native.cumsum_axis(this.handle, axis, false, true, some(undefined), this.mlx.stream),
    );
  }
  logsumexp(axis: number, keepdims = false): MxArray {
    return this.made(this.mlx.native.logsumexp_axis(this.handle, axis, keepdims, this.mlx.stream));
  }
  softmax(axis: number): MxArray {
    return this.made(this.mlx.native.softmax_axis(this.handle, axis, true, this.mlx.stream));
  }

  matmul(other: MxArray): MxArray {
    return this.made(this.mlx.native.matmul(this.handle, (other as NativeArray).handle, this.mlx.stream));
  }
  linear(weight: MxArray, bias?: MxArray): MxArray {
    return this.made(this.mlx.fast.linear(this, weight as NativeArray, bias as NativeArray | undefined));
  }
  quantizedLinear(weight: Packed): MxArray {
    return this.made(this.mlx.fast.quantizedLinear(this, weight));
  }
  gatherLinear(weight: MxArray | Packed, experts: MxArray, sorted: boolean): MxArray {
    return this.made(this.mlx.fast.gatherLinear(this, weight, experts as NativeArray, sorted));
  }
  quantizedRows(table: Packed, dtype: Dtype): MxArray {
    return this.made(this.mlx.fast.quantizedRows(this, table, dtype));
  }
  rmsNorm(weight: MxArray, eps: number): MxArray {
    return this.made(this.mlx.fast.rmsNorm(this, weight as NativeArray, eps));
  }
  addRmsNorm(other: MxArray, weight: MxArray, eps: number): readonly [sum: MxArray, normed: MxArray] {
    const [sum, normed] = this.mlx.fast.addRmsNorm(this, other as NativeArray, weight as NativeArray, eps);
    return [this.made(sum), this.made(normed)];
  }
  rope(options: RopeOptions): MxArray {
    return this.made(this.mlx.fast.rope(this, options));
  }
  attention(keys: MxArray, values: MxArray, options: AttentionOptions): MxArray {
    return this.made(this.mlx.fast.attention(this, keys as NativeArray, values as NativeArray, options));
  }
  cachedAttention(
    keys: MxArray,
    values: MxArray,
    slots: readonly CacheSlot[],
    options: CachedAttentionOptions,
  ): MxArray {
    const fresh = [keys as NativeArray, values as NativeArray] as const;
    return this.made(this.mlx.fast.cachedAttention(this, fresh, slots, options));
  }
  packRows(): MxArray {
    return this.made(this.mlx.fast.packRows(this));
  }

  eval(): this {
    this.mlx.native.array_eval(this.handle);
    return this;
  }
  item(): number {
    return readItem(this);
  }
  toFloat32(): Float32Array {
    return readFloat32(this);
  }
  toInt32(): Int32Array {
    return readInt32(this);
  }

  /** Wᵀ of the last two axes. A view that costs a graph node to make, so a weight makes it once. */
  transposedHandle(): mlx_array {
    if (this.swapped === 0) this.swapped = this.mlx.native.swapaxes(this.used(), -1, -2, this.mlx.stream);
    return this.swapped;
  }
  dispose(): void {
    if (this.handle === 0) return;
    const { native, scopes } = this.mlx;
    native.array_free(this.handle);
    if (this.swapped !== 0) native.array_free(this.swapped);
    this.handle = 0;
    this.swapped = 0;
    scopes.live--;
  }
}
