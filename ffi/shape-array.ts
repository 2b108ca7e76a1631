import type { AttentionOptions, Dtype, MxArray, Packed, RopeOptions } from "./array.ts";
import { packedWidth } from "./array.ts";
import { MlxError } from "./call.ts";
import { floating, promote, scalarDtype, summed } from "./dtypes.ts";
import { isPacked } from "./nn/linear.ts";
import type { Owned } from "./scope.ts";
import * as rules from "./shape-rules.ts";
import type { ShapeMlx } from "./shapes.ts";

type Shape = readonly number[];

/** An array without values: its methods answer what MLX's would have for a shape and a type, or fail as MLX would. */
export class ShapeArray implements MxArray, Owned {
  readonly mlx: ShapeMlx;
  depth = 0;
  private readonly size: Shape;
  private readonly type: Dtype;
  private freed = false;

  constructor(shape: Shape, dtype: Dtype, mlx: ShapeMlx) {
    this.size = shape;
    this.type = dtype;
    this.mlx = mlx;
    mlx.scopes.add(this);
  }

  get shape(): Shape {
    if (this.freed) throw new Error("an array was used after it was freed");
    return this.size;
  }
  get dtype(): Dtype {
    if (this.freed) throw new Error("an array was used after it was freed");
    return this.type;
  }
  private made(shape: Shape, dtype: Dtype = this.dtype): ShapeArray {
    return new ShapeArray(shape, dtype, this.mlx);
  }
  private binary(operation: string, other: MxArray | number, result?: Dtype): ShapeArray {
    const numeric = typeof other === "number";
    const dtype = promote(this.dtype, numeric ? scalarDtype(other, this.dtype) : other.dtype);
    return this.made(rules.broadcast(operation, this.shape, numeric ? [] : other.shape), result ?? dtype);
  }

  add(other: MxArray | number): MxArray {
    return this.binary("add", other);
  }
  sub(other: MxArray | number): MxArray {
    return this.binary("subtract", other);
  }
  mul(other: MxArray | number): MxArray {
    return this.binary("multiply", other);
  }
  div(other: MxArray | number): MxArray {
    const quotient = this.binary("divide", other);
    return quotient.astype(floating(quotient.dtype));
  }
  maximum(other: MxArray | number): MxArray {
    return this.binary("maximum", other);
  }
  greaterEqual(other: MxArray | number): MxArray {
    return this.binary("greater_equal", other, "bool");
  }
  greater(other: MxArray | number): MxArray {
    return this.binary("greater", other, "bool");
  }
  less(other: MxArray | number): MxArray {
    return this.binary("less", other, "bool");
  }
  lessEqual(other: MxArray | number): MxArray {
    return this.binary("less_equal", other, "bool");
  }
  and(other: MxArray): MxArray {
    return this.binary("logical_and", other, "bool");
  }
  where(yes: MxArray | number, no: MxArray | number): MxArray {
    const dtype = typeof yes !== "number" ? yes.dtype : typeof no !== "number" ? no.dtype : "float32";
    const typeOf = (value: MxArray | number): Dtype =>
      typeof value === "number" ? scalarDtype(value, dtype) : value.dtype;
    const shapeOf = (value: MxArray | number): Shape => (typeof value === "number" ? [] : value.shape);
    const said = [this.shape, shapeOf(yes), shapeOf(no)];
    const shape = rules.broadcast(
      "where",
      this.shape,
      rules.broadcast("where", shapeOf(yes), shapeOf(no), said),
      said,
    );
    return this.made(shape, promote(typeOf(yes), typeOf(no)));
  }
  negative(): MxArray {
    return this.made(this.shape);
  }
  exp(): MxArray {
    return this.made(this.shape, floating(this.dtype));
  }
  log(): MxArray {
    return this.exp();
  }
  sigmoid(): MxArray {
    return this.exp();
  }
  silu(): MxArray {
    return this.exp();
  }
  siluMul(up: MxArray): MxArray {
    return this.made(this.shape, floating(this.dtype)).mul(up);
  }

  reshape(...shape: Shape): MxArray {
    return this.made(rules.reshape(this.shape, shape));
  }
  transpose(...axes: Shape): MxArray {
    return this.made(rules.transpose(this.shape, axes));
  }
  swapaxes(a: number, b: number): MxArray {
    return this.made(rules.swapaxes(this.shape, a, b));
  }
  expandDims(axis: number): MxArray {
    return this.made(rules.expandDims(this.shape, axis));
  }
  squeeze(axis: number): MxArray {
    return this.made(rules.squeeze(this.shape, axis));
  }
  broadcastTo(...shape: Shape): MxArray {
    return this.made(rules.broadcastTo(this.shape, shape));
  }
  astype(dtype: Dtype): MxArray {
    return this.made(this.shape, dtype);
  }
  contiguous(): MxArray {
    return this.made(this.shape);
  }
  slice(axis: number, start: number, stop: number): MxArray {
    const at = rules.axisOf("slice", this.shape, axis);
    const [from, to] = rules.sliceBounds("slice", this.shape, at, start, stop);
    return this.made(this.shape.with(at, to - from));
  }
  sliceUpdate(update: MxArray, axis: number, start: number): MxArray {
    rules.sliceUpdateBounds(this.shape, update.shape, axis, start);
    return this.made(this.shape);
  }
  concat(others: readonly MxArray[], axis: number): MxArray {
    const shape = rules.concat([this.shape, ...others.map((other) => other.shape)], axis);
    return this.made(
      shape,
      others.reduce((dtype, other) => promote(dtype, other.dtype), this.dtype),
    );
  }
  take(indices: MxArray, axis: number): MxArray {
    return this.made(rules.take(this.shape, indices.shape, axis));
  }
  takeAlongAxis(indices: MxArray, axis: number): MxArray {
    return this.made(rules.alongAxis("take_along_axis", [this.shape, indices.shape], axis));
  }
  putAlongAxis(indices: MxArray, values: MxArray, axis: number): MxArray {
    const said = [this.shape, indices.shape, values.shape];
    const at = rules.alongAxis("put_along_axis", [this.shape, indices.shape], axis, said);
    rules.broadcast("put_along_axis", at, values.shape, said);
    return this.made(this.shape);
  }

  sum(axis: number, keepdims = false): MxArray {
    return this.made(rules.reduced("sum_axis", this.shape, axis, keepdims), summed(this.dtype));
  }
  mean(axis: number, keepdims = false): MxArray {
    return this.made(rules.reduced("mean_axis", this.shape, axis, keepdims), floating(this.dtype));
  }
  max(axis: number, keepdims = false): MxArray {
    return this.made(rules.chosen("max_axis", this.shape, axis, keepdims));
  }
  argmax(axis: number): MxArray {
    return this.made(rules.chosen("argmax_axis", this.shape, axis, false), "uint32");
  }
  argsort(axis: number): MxArray {
    rules.axisOf("argsort_axis", this.shape, axis);
    return this.made(this.shape, "uint32");
  }
  argpartition(kth: number, axis: number): MxArray {
    const size = this.shape[rules.axisOf("argpartition_axis", this.shape, axis)] ?? 0;
    if (kth >= size || kth < -size)
      throw new MlxError("argpartition_axis", [this.shape], `${kth} is outside the axis`);
    return this.made(this.shape, "uint32");
  }
  sort(axis: number): MxArray {
    rules.axisOf("sort_axis", this.shape, axis);
    return this.made(this.shape);
  }
  cumsum(axis: number): MxArray {
    rules.axisOf("cumsum_axis", this.shape, axis);
    return this.made(this.shape, this.dtype === "bool" ? "int32" : this.dtype);
  }
  logsumexp(axis: number, keepdims = false): MxArray {
    return this.made(rules.chosen("logsumexp_axis", this.shape, axis, keepdims), floating(this.dtype));
  }
  softmax(axis: number): MxArray {
    rules.axisOf("softmax_axis", this.shape, axis);
    return this.made(this.shape, floating(this.dtype));
  }

  matmul(other: MxArray): MxArray {
    return this.made(rules.matmul("matmul", this.shape, other.shape), promote(this.dtype, other.dtype));
  }
  linear(weight: MxArray, bias?: MxArray): MxArray {
    const transposed = rules.swapaxes(weight.shape, -1, -2);
    const dtype = promote(this.dtype, weight.dtype);
    if (bias === undefined) return this.made(rules.matmul("matmul", this.shape, transposed), dtype);
    const said = [bias.shape, this.shape, transposed];
    const product = rules.matmul("addmm", this.shape, transposed, said);
    return this.made(rules.broadcast("addmm", product, bias.shape, said), promote(dtype, bias.dtype));
  }
  quantizedLinear(weight: Packed): MxArray {
    const [out = 0, inputs] = rules.unpacked("quantized_matmul", this.shape, weight);
    if (this.shape.at(-1) !== inputs) {
      throw new MlxError("quantized_matmul", rules.partShapes(this.shape, weight), `it has ${inputs} inputs`);
    }
    return this.made([...this.shape.slice(0, -1), out], this.packedResult(weight));
  }
  private packedResult({ mode, scales }: Packed): Dtype {
    return mode === "affine" ? promote(this.dtype, scales.dtype) : this.dtype;
  }
  gatherLinear(weight: MxArray | Packed, experts: MxArray, _sorted: boolean): MxArray {
    const operation = isPacked(weight) ? "gather_qmm" : "gather_mm";
    const full = isPacked(weight) ? rules.unpacked(operation, this.shape, weight) : weight.shape;
    const matrix = rules.swapaxes(full.slice(-2), 0, 1);
    const rows = rules.matmul(operation, this.shape.slice(-2), matrix, [this.shape, full]);
    const batch = rules.broadcast(operation, this.shape.slice(0, -2), experts.shape, [
      this.shape,
      experts.shape,
    ]);
    const dtype = isPacked(weight) ? this.packedResult(weight) : promote(this.dtype, weight.dtype);
    return this.made([...batch, ...rows], dtype);
  }
  quantizedRows(table: Packed, dtype: Dtype): MxArray {
    const [, width = 0] = rules.unpacked("dequantize", this.shape, table);
    return this.made([...this.shape, width], dtype);
  }
  rmsNorm(weight: MxArray, _eps: number): MxArray {
    if (weight.shape.length !== 1 || weight.shape[0] !== this.shape.at(-1)) {
      throw new MlxError(
        "fast_rms_norm",
        [this.shape, weight.shape],
        "the weight is not one number per channel",
      );
    }
    return this.made(this.shape, promote(this.dtype, weight.dtype));
  }
  addRmsNorm(other: MxArray, weight: MxArray, eps: number): readonly [sum: MxArray, normed: MxArray] {
    const sum = this.add(other);
    return [sum, sum.rmsNorm(weight, eps)];
  }
  rope({ dims, base, freqs }: RopeOptions): MxArray {
    if ((base === undefined) === (freqs === undefined)) {
      throw new MlxError("rope", [this.shape], "give exactly one of base and freqs");
    }
    if (this.shape.length < 3 || dims > (this.shape.at(-1) ?? 0) || (freqs && freqs.shape[0] !== dims / 2)) {
      throw new MlxError(
        "fast_rope",
        [this.shape, ...(freqs ? [freqs.shape] : [])],
        `${dims} channels cannot be rotated`,
      );
    }
    return this.made(this.shape);
  }
  attention(keys: MxArray, values: MxArray, { mask }: AttentionOptions): MxArray {
    const shape = rules.attention(
      this.shape,
      keys.shape,
      values.shape,
      typeof mask === "string" ? undefined : mask.shape,
    );
    const floats = [keys.dtype, values.dtype].filter((dtype) => dtype !== "uint8");
    return this.made(shape, floats.reduce(promote, this.dtype));
  }
  cachedAttention(...[keys, values, slots]: Parameters<MxArray["cachedAttention"]>): MxArray {
    return this.made(rules.cachedAttention(this.shape, keys.shape, values.shape, slots));
  }
  packRows(): MxArray {
    return this.made([...this.shape.slice(0, -1), packedWidth(this.shape.at(-1) ?? 0)], "uint8");
  }

  eval(): this {
    this.mlx.eval([this]);
    return this;
  }
  item(): number {
    if (rules.sizeOf(this.shape) !== 1) throw new MlxError("exo_read", [this.shape], "it is not one value");
    return 0;
  }
  toFloat32(): Float32Array {
    return new Float32Array(rules.sizeOf(this.shape));
  }
  toInt32(): Int32Array {
    return new Int32Array(rules.sizeOf(this.shape));
  }
  dispose(): void {
    if (this.freed) return;
    this.freed = true;
    this.mlx.scopes.live--;
  }
}
