/** Values out of arrays. The shim copies them row-major; 16-bit floats have no type of their own in JavaScript. */
import type { Dtype } from "./array.ts";
import { dtypeBytes, dtypeCode } from "./dtypes.ts";
import type { NativeArray } from "./native-array.ts";

const readers: Readonly<Record<Dtype, (view: DataView) => number>> = {
  bool: (view) => view.getUint8(0),
  uint8: (view) => view.getUint8(0),
  uint16: (view) => view.getUint16(0, true),
  uint32: (view) => view.getUint32(0, true),
  uint64: (view) => Number(view.getBigUint64(0, true)),
  int8: (view) => view.getInt8(0),
  int16: (view) => view.getInt16(0, true),
  int32: (view) => view.getInt32(0, true),
  int64: (view) => Number(view.getBigInt64(0, true)),
  float16: (view) => view.getFloat16(0, true),
  float32: (view) => view.getFloat32(0, true),
  float64: (view) => view.getFloat64(0, true),
  bfloat16: (view) => {
    view.setUint32(0, view.getUint16(0, true) << 16, true);
    return view.getFloat32(0, true);
  },
  complex64: (view) => view.getFloat32(0, true),
};

/** The one value of an array of any type; 64-bit integers beyond 2^53 and imaginary parts are lost. */
export function readItem(array: NativeArray): number {
  const view = new DataView(new ArrayBuffer(8));
  array.mlx.native.exo_read(array.handle, new Uint8Array(view.buffer), dtypeBytes(array.dtype));
  return readers[array.dtype](view);
}

export const readFloat32 = (array: NativeArray): Float32Array =>
  read(array, "float32", new Float32Array(sizeOf(array)));

export const readInt32 = (array: NativeArray): Int32Array =>
  read(array, "int32", new Int32Array(sizeOf(array)));

const sizeOf = (array: NativeArray): number => array.shape.reduce((product, size) => product * size, 1);

function read<Values extends Float32Array | Int32Array>(
  array: NativeArray,
  dtype: Dtype,
  values: Values,
): Values {
  const { native, stream } = array.mlx;
  if (values.length === 0) return values;
  const same = array.dtype === dtype;
  const handle = same ? array.handle : native.astype(array.handle, dtypeCode(dtype), stream);
  try {
    native.exo_read(handle, values, values.byteLength);
  } finally {
    if (!same) native.array_free(handle);
  }
  return values;
}
