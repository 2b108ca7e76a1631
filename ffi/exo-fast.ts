/** The operations of our own shim, which hands to MLX what it does not compute itself. */
import type { MxArray, Rotation } from "./array.ts";
import { MlxError, someFloat } from "./call.ts";
import { dtypeCode } from "./dtypes.ts";
import { type Fast, mlxFast, modes } from "./fast.ts";
import type { mlx_array } from "./generated/symbols.ts";
import type { NativeArray } from "./native-array.ts";
import { isPacked } from "./nn/linear.ts";

const used = (array: MxArray): mlx_array => (array as NativeArray).used();
const EVERY_KEY = 0;
const CAUSAL = 1;
const NO_ROTATION: Rotation = { dims: 0, traditional: false, scale: 1 };

export const exoFast: Fast = {
  ...mlxFast,
  kernels: "exo",
  siluMul(gate, up) {
    return gate.mlx.native.exo_silu_mul(gate.handle, up.used(), gate.mlx.stream);
  },
  linear(x, weight, bias) {
    return x.mlx.native.exo_linear(x.handle, weight.used(), bias?.used() ?? null, x.mlx.stream);
  },
  quantizedLinear(x, packed) {
    const { weight, scales, biases, groupSize, bits, mode } = packed;
    const [w, s, b] = [used(weight), used(scales), biases === undefined ? null : used(biases)];
    return x.mlx.native.exo_quantized_linear(x.handle, w, s, b, groupSize, bits, modes[mode], x.mlx.stream);
  },
  gatherLinear(x, weight, experts, sorted) {
    const { native, stream } = x.mlx;
    const ids = experts.used();
    if (!isPacked(weight)) return native.exo_expert_linear(x.handle, used(weight), ids, sorted, stream);
    const { scales, biases, groupSize, bits, mode } = weight;
    const [w, s, b] = [used(weight.weight), used(scales), biases === undefined ? null : used(biases)];
    const how = modes[mode];
    return native.exo_quantized_expert_linear(x.handle, w, s, b, ids, groupSize, bits, how, sorted, stream);
  },
  quantizedRows(ids, { weight, scales, biases, groupSize, bits, mode }, dtype) {
    const { native, stream } = ids.mlx;
    const [w, s, b] = [used(weight), used(scales), biases === undefined ? null : used(biases)];
    const [how, as] = [modes[mode], dtypeCode(dtype)];
    return native.exo_quantized_rows(ids.handle, w, s, b, groupSize, bits, how, as, stream);
  },
  rmsNorm(x, weight, eps) {
    return x.mlx.native.exo_rms_norm(x.handle, weight.used(), eps, x.mlx.stream);
  },
  addRmsNorm(x, y, weight, eps) {
    return x.mlx.native.exo_add_rms_norm(x.handle, y.used(), weight.used(), eps, x.mlx.stream);
  },
  rope(x, { dims, traditional, base, freqs, scale, offset }) {
    const { native, stream } = x.mlx;
    if ((base === undefined) === (freqs === undefined)) {
      throw new MlxError("rope", [x.shape], "give exactly one of base and freqs");
    }
    const periods = freqs === undefined ? null : used(freqs);
    return native.exo_rope(x.handle, dims, traditional, someFloat(base), scale, offset, periods, stream);
  },
  attention(queries, keys, values, { scale, mask }) {
    const { native, stream } = queries.mlx;
    const [q, k, v] = [queries.handle, keys.used(), values.used()];
    if (typeof mask !== "string") return native.exo_attention(q, k, v, scale, EVERY_KEY, used(mask), stream);
    return native.exo_attention(q, k, v, scale, mask === "causal" ? CAUSAL : EVERY_KEY, null, stream);
  },
  cachedAttention(queries, [keys, values], slots, { scale, rotation }) {
    const { native, words, stream } = queries.mlx;
    const [q, k, v] = [queries.used(), keys.used(), values.used()];
    const caches = words.handles(
      slots.flatMap((slot) => [slot.keys as NativeArray, slot.values as NativeArray]),
    );
    const places = Int32Array.from(slots.flatMap(({ position, row, seen }) => [position, row, seen]));
    const { dims, traditional, base, freqs, scale: turnScale } = rotation ?? NO_ROTATION;
    const count = slots.length;
    return native.exo_cached_attention(
      q, k, v, caches, places, count, scale, dims, traditional, someFloat(base), turnScale,
      freqs === undefined ? null : used(freqs), stream,
    ); // biome-ignore format: a call
  },
  packRows(x) {
    return x.mlx.native.exo_pack_rows(x.used(), x.mlx.stream);
  },
};
