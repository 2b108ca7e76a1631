/** The products of our own shim where they apply (CPU, float weights or affine 4 and 8 bits), MLX's for the rest. */
import { type Fast, mlxFast } from "./fast.ts";
import type { NativeArray } from "./native-array.ts";

/** A packed weight's columns must fill whole groups of these sizes and widths for our kernels. */
const WIDTHS: ReadonlySet<number> = new Set([4, 8]);
const GROUPS: ReadonlySet<number> = new Set([32, 64, 128]);
const FLOATS: ReadonlySet<string> = new Set(["float32", "float16", "bfloat16"]);

export const exoFast: Fast = {
  ...mlxFast,
  linear(x, weight, bias) {
    const fits = weight.shape.length === 2 && FLOATS.has(weight.dtype) && FLOATS.has(x.dtype);
    if (!fits) return mlxFast.linear(x, weight, bias);
    return x.mlx.native.exo_linear(x.handle, weight.used(), bias?.used() ?? null, x.mlx.stream);
  },
  quantizedLinear(x, packed) {
    const { weight, scales, biases, groupSize, bits, mode } = packed;
    const fits = mode === "affine" && WIDTHS.has(bits) && GROUPS.has(groupSize) && weight.shape.length === 2;
    if (!fits || biases === undefined || !FLOATS.has(x.dtype)) return mlxFast.quantizedLinear(x, packed);
    const w = (weight as NativeArray).used();
    const s = (scales as NativeArray).used();
    const b = (biases as NativeArray).used();
    return x.mlx.native.exo_quantized_linear(x.handle, w, s, b, groupSize, bits, x.mlx.stream);
  },
};
