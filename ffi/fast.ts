/**
 * The operations that decide the speed of a model, each behind one function, so that another implementation of a kernel
 * is one line in a table.
 */
import type {
  AttentionOptions,
  CachedAttentionOptions,
  CacheSlot,
  Dtype,
  Kernels,
  MxArray,
  Packed,
  RopeOptions,
} from "./array.ts";
import { cText, MlxError, some, someFloat } from "./call.ts";
import { dtypeCode } from "./dtypes.ts";
import type { mlx_array } from "./generated/symbols.ts";
import type { NativeArray } from "./native-array.ts";
import { isPacked } from "./nn/linear.ts";

export interface Fast {
  readonly kernels: Kernels;
  siluMul(gate: NativeArray, up: NativeArray): mlx_array;
  linear(x: NativeArray, weight: NativeArray, bias: NativeArray | undefined): mlx_array;
  quantizedLinear(x: NativeArray, weight: Packed): mlx_array;
  gatherLinear(x: NativeArray, weight: MxArray | Packed, experts: NativeArray, sorted: boolean): mlx_array;
  /** Rows of a packed table by id. */
  quantizedRows(ids: NativeArray, table: Packed, dtype: Dtype): mlx_array;
  rmsNorm(x: NativeArray, weight: NativeArray, eps: number): mlx_array;
  addRmsNorm(
    x: NativeArray,
    y: NativeArray,
    weight: NativeArray,
    eps: number,
  ): readonly [mlx_array, mlx_array];
  rope(x: NativeArray, options: RopeOptions): mlx_array;
  attention(
    queries: NativeArray,
    keys: NativeArray,
    values: NativeArray,
    options: AttentionOptions,
  ): mlx_array;
  cachedAttention(
    queries: NativeArray,
    fresh: readonly [keys: NativeArray, values: NativeArray],
    slots: readonly CacheSlot[],
    options: CachedAttentionOptions,
  ): mlx_array;
  packRows(x: NativeArray): mlx_array;
}

/** MLX's modes as C wants them. */
export const modes: Readonly<Record<Packed["mode"], Uint8Array>> = {
  affine: cText("affine"),
  mxfp4: cText("mxfp4"),
  mxfp8: cText("mxfp8"),
  nvfp4: cText("nvfp4"),
};
const masks = { none: cText(""), causal: cText("causal"), array: cText("array") } as const;

/** The handle of a part of a packed weight; an absent one is null, a freed one an error. */
const part = (array: MxArray | undefined): mlx_array | null =>
  array === undefined ? null : (array as NativeArray).used();

function onlyOurs(operation: string, x: NativeArray): never {
  throw new MlxError(operation, [x.shape], "MLX has no such operation: ask for our own kernels");
}

export const mlxFast: Fast = {
  kernels: "mlx",
  siluMul(gate, up) {
    const { native, stream } = gate.mlx;
    const sigmoid = native.sigmoid(gate.handle, stream);
    const silu = native.multiply(gate.handle, sigmoid, stream);
    try {
      return native.multiply(silu, up.handle, stream);
    } finally {
      native.array_free(sigmoid);
      native.array_free(silu);
    }
  },
  linear(x, weight, bias) {
    const { native, stream } = x.mlx;
    const transposed = weight.transposedHandle();
    return bias === undefined
      ? native.matmul(x.handle, transposed, stream)
      : native.addmm(bias.handle, x.handle, transposed, 1, 1, stream);
  },
  quantizedLinear(x, { weight, scales, biases, groupSize, bits, mode }) {
    const { native, stream } = x.mlx;
    const [w, s, b] = [part(weight) ?? 0, part(scales) ?? 0, part(biases)];
    return native.quantized_matmul(x.handle, w, s, b, true, some(groupSize), some(bits), modes[mode], stream);
  },
  gatherLinear(x, weight, experts, sorted) {
    const { native, stream } = x.mlx;
    if (!isPacked(weight)) {
      const transposed = (weight as NativeArray).transposedHandle();
      return native.gather_mm(x.handle, transposed, null, experts.used(), sorted, stream);
    }
    const { scales, biases, groupSize, bits, mode } = weight;
    const [w, s, b] = [part(weight.weight) ?? 0, part(scales) ?? 0, part(biases)];
    const [group, width, ids] = [some(groupSize), some(bits), experts.used()];
    return native.gather_qmm(x.handle, w, s, b, null, ids, true, group, width, modes[mode], sorted, stream);
  },
  quantizedRows(ids, table, dtype) {
    const { native, stream } = ids.mlx;
    const { groupSize, bits, mode } = table;
    const taken: mlx_array[] = [];
    const rows = (part: MxArray | undefined): mlx_array | null => {
      if (part === undefined) return null;
      const made = native.take_axis((part as NativeArray).used(), ids.handle, 0, stream);
      taken.push(made);
      return made;
    };
    try {
      const [w, s, b] = [rows(table.weight) ?? 0, rows(table.scales) ?? 0, rows(table.biases)];
      const [group, width, as] = [some(groupSize), some(bits), some(dtypeCode(dtype))];
      return native.dequantize(w, s, b, group, width, modes[mode], null, as, stream);
    } finally {
      for (const made of taken) native.array_free(made);
    }
  },
  rmsNorm(x, weight, eps) {
    return x.mlx.native.fast_rms_norm(x.handle, weight.used(), eps, x.mlx.stream);
  },
  addRmsNorm(x, y, weight, eps) {
    const { native, stream } = x.mlx;
    const sum = native.add(x.handle, y.used(), stream);
    try {
      return [sum, native.fast_rms_norm(sum, weight.used(), eps, stream)];
    } catch (error) {
      native.array_free(sum);
      throw error;
    }
  },
  rope(x, { dims, traditional, base, freqs, scale, offset }) {
    const { native, stream } = x.mlx;
    if ((base === undefined) === (freqs === undefined)) {
      throw new MlxError("rope", [x.shape], "give exactly one of base and freqs");
    }
    return native.fast_rope(x.handle, dims, traditional, someFloat(base), scale, offset, part(freqs), stream);
  },
  attention(queries, keys, values, { scale, mask }) {
    const { native, stream } = queries.mlx;
    const [kind, array] = typeof mask === "string" ? [masks[mask], null] : [masks.array, part(mask)];
    const [q, k, v] = [queries.handle, keys.handle, values.handle];
    return native.fast_scaled_dot_product_attention(q, k, v, scale, kind, array, null, false, stream);
  },
  cachedAttention: (queries) => onlyOurs("cached_attention", queries),
  packRows: (x) => onlyOurs("pack_rows", x),
};
