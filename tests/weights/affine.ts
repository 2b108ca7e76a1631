/** What a packed module says, by the definition of MLX's packing and without MLX. */
import type { TensorSlice, TensorSource } from "#ffi/weights";

export interface Matrix {
  readonly shape: readonly number[];
  /** Value = scale · q + bias, in double precision; by rows. */
  readonly values: readonly number[];
  readonly scales: Float32Array;
  readonly biases: Float32Array;
}

/** An affine module's values by the definition of MLX's packing, without MLX. */
export function affine(source: TensorSource, path: string, slice?: TensorSlice): Matrix {
  const { bits = 0 } = source.quantisation(path) ?? {};
  const words = source.tensor(`${path}.weight`, slice);
  const packed = new Uint32Array(words.toInt32().buffer);
  const scales = source.tensor(`${path}.scales`, slice).toFloat32();
  const biases = source.tensor(`${path}.biases`, slice).toFloat32();
  const values = Array.from({ length: scales.length * 32 }, (_, i) => {
    const at = i * bits;
    const [low = 0, high = 0] = [packed[at >>> 5], packed[(at >>> 5) + 1]];
    const shift = at & 31;
    const q = ((low >>> shift) | (shift === 0 ? 0 : high << (32 - shift))) & (2 ** bits - 1);
    const group = Math.floor(i / 32);
    return (scales[group] ?? 0) * q + (biases[group] ?? 0);
  });
  return { shape: words.shape, values, scales, biases };
}
