/**
 * A fake Mlx that knows shapes and types only, for tests on machines without the library. It refuses what MLX refuses,
 * with the same operation and shapes in the error; every value it reads back is 0.
 */
import type { Dtype, Mlx, MxArray, Packed, Quantisation } from "./array.ts";
import { MlxError } from "./call.ts";
import { Scopes } from "./scope.ts";
import { ShapeArray } from "./shape-array.ts";
import { partShapes, reduced, sizeOf, unpacked } from "./shape-rules.ts";

export class ShapeMlx implements Mlx {
  readonly kernels = "exo";
  readonly scopes = new Scopes<ShapeArray>((value) => value instanceof ShapeArray);

  private made(shape: readonly number[], dtype: Dtype): ShapeArray {
    return new ShapeArray(shape, dtype, this);
  }
  zeros(shape: readonly number[], dtype: Dtype): MxArray {
    return this.made([...shape], dtype);
  }
  full(shape: readonly number[], _value: number, dtype: Dtype): MxArray {
    return this.made([...shape], dtype);
  }
  arange(start: number, stop: number, dtype: Dtype): MxArray {
    return this.made([Math.max(0, Math.ceil(stop - start))], dtype);
  }
  fromFloat32(values: Float32Array, shape: readonly number[]): MxArray {
    return this.copied(values.length, shape, "float32");
  }
  fromInt32(values: Int32Array, shape: readonly number[]): MxArray {
    return this.copied(values.length, shape, "int32");
  }
  fromUint32(values: Uint32Array, shape: readonly number[]): MxArray {
    return this.copied(values.length, shape, "uint32");
  }
  private copied(count: number, shape: readonly number[], dtype: Dtype): MxArray {
    const size = sizeOf(shape);
    if (size !== count)
      throw new MlxError("from", [shape], `the shape holds ${size} values, ${count} were given`);
    return this.made([...shape], dtype);
  }
  scalar(_value: number, dtype: Dtype): MxArray {
    return this.made([], dtype);
  }
  eval(arrays: readonly MxArray[]): void {
    for (const array of arrays) void array.shape;
  }
  begin(arrays: readonly MxArray[]): void {
    this.eval(arrays);
  }
  categorical(logits: MxArray, key: MxArray): MxArray {
    void key.shape;
    return this.made(reduced("random_categorical", logits.shape, -1, false), "uint32");
  }
  randomKey(_seed: bigint): MxArray {
    return this.made([2], "uint32");
  }
  quantize(weight: MxArray, as: Quantisation): Packed {
    const { mode, bits, groupSize } = as;
    const inputs = weight.shape.at(-1) ?? 0;
    if (weight.shape.length < 2 || inputs % groupSize !== 0) {
      throw new MlxError("quantize", [weight.shape], `the last axis is not a multiple of ${groupSize}`);
    }
    const rows = weight.shape.slice(0, -1);
    const group = (dtype: Dtype): MxArray => this.made([...rows, inputs / groupSize], dtype);
    const packed = this.made([...rows, (inputs * bits) / 32], "uint32");
    if (mode !== "affine") return { ...as, weight: packed, scales: group("uint8") };
    return { ...as, weight: packed, scales: group(weight.dtype), biases: group(weight.dtype) };
  }
  dequantize(weight: Packed, dtype: Dtype): MxArray {
    return this.made(unpacked("dequantize", [], weight, partShapes(undefined, weight)), dtype);
  }
  scope<T>(work: (keep: <A extends MxArray | readonly MxArray[]>(kept: A) => A) => T): T {
    return this.scopes.run(work);
  }
  liveHandles(): number {
    return this.scopes.live;
  }
  memory(): { readonly activeBytes: number; readonly peakBytes: number; readonly cacheBytes: number } {
    return { activeBytes: 0, peakBytes: 0, cacheBytes: 0 };
  }
  clearCache(): void {}
}

export const createShapes = (): Mlx => new ShapeMlx();
