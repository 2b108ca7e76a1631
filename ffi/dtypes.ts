/** MLX's element types: their codes in C, their sizes, and which one holds the results of two. */
import type { Dtype } from "./array.ts";

/** In the order of mlx_dtype: the index is the code. */
export const dtypes = [
  "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
  "float16", "float32", "float64", "bfloat16", "complex64",
] as const satisfies readonly Dtype[]; // biome-ignore format: a table

const codes: Readonly<Record<Dtype, number>> = Object.fromEntries(
  dtypes.map((name, code) => [name, code]),
) as Record<Dtype, number>;

export const dtypeCode = (dtype: Dtype): number => codes[dtype];

export function dtypeName(code: number): Dtype {
  const name = dtypes[code];
  if (name === undefined) throw new Error(`MLX has no element type ${code}`);
  return name;
}

const sizes: Readonly<Record<Dtype, number>> = {
  bool: 1, uint8: 1, uint16: 2, uint32: 4, uint64: 8, int8: 1, int16: 2, int32: 4, int64: 8,
  float16: 2, float32: 4, float64: 8, bfloat16: 2, complex64: 8,
}; // biome-ignore format: a table

export const dtypeBytes = (dtype: Dtype): number => sizes[dtype];

const floats: ReadonlySet<Dtype> = new Set(["float16", "bfloat16", "float32", "float64", "complex64"]);
const unsigned: ReadonlySet<Dtype> = new Set(["uint8", "uint16", "uint32", "uint64"]);

/** Floating or complex. */
export const isFloating = (dtype: Dtype): boolean => floats.has(dtype);

/** What functions like exp answer in. */
export const floating = (dtype: Dtype): Dtype => (isFloating(dtype) ? dtype : "float32");

/** What sums are held in: bool and narrow integers would overflow. */
export function summed(dtype: Dtype): Dtype {
  if (dtype === "bool") return "int32";
  if (isFloating(dtype) || sizes[dtype] >= 4) return dtype;
  return unsigned.has(dtype) ? "uint32" : "int32";
}

/** What the result of an operation on two arrays holds, by MLX's rules (which differ from NumPy's for uint64 and 16 bits). */
export function promote(a: Dtype, b: Dtype): Dtype {
  if (a === b || b === "bool") return a;
  if (a === "bool") return b;
  if (isFloating(a) || isFloating(b)) return promoteFloating(a, b);
  if (unsigned.has(a) === unsigned.has(b)) return sizes[a] >= sizes[b] ? a : b;
  const [signedType, unsignedType] = unsigned.has(a) ? [b, a] : [a, b];
  if (sizes[signedType] > sizes[unsignedType]) return signedType;
  return ({ 1: "int16", 2: "int32", 4: "int64", 8: "float32" } as const)[
    sizes[unsignedType] as 1 | 2 | 4 | 8
  ];
}

function promoteFloating(a: Dtype, b: Dtype): Dtype {
  if (a === "complex64" || b === "complex64") return "complex64";
  if (!isFloating(a)) return b;
  if (!isFloating(b)) return a;
  if (a === "float64" || b === "float64") return "float64";
  return "float32";
}

/** The type a plain number takes beside an array of `dtype`: the array's own where the number fits its kind. */
export function scalarDtype(value: number, dtype: Dtype): Dtype {
  if (isFloating(dtype)) return dtype;
  if (!Number.isInteger(value)) return "float32";
  return dtype === "bool" ? "int32" : dtype;
}

/** One number as the bytes of `dtype`, or undefined where a plain number cannot stand for that type. */
export function scalarBytes(value: number, dtype: Dtype): Uint8Array | undefined {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  const writers: Partial<Record<Dtype, () => void>> = {
    bool: () => view.setUint8(0, value === 0 ? 0 : 1),
    uint8: () => view.setUint8(0, value),
    uint16: () => view.setUint16(0, value, true),
    uint32: () => view.setUint32(0, value, true),
    uint64: () => view.setBigUint64(0, BigInt.asUintN(64, BigInt(Math.trunc(value))), true),
    int8: () => view.setInt8(0, value),
    int16: () => view.setInt16(0, value, true),
    int32: () => view.setInt32(0, value, true),
    int64: () => view.setBigInt64(0, BigInt(Math.trunc(value)), true),
    float16: () => view.setFloat16(0, value, true),
    float32: () => view.setFloat32(0, value, true),
    float64: () => view.setFloat64(0, value, true),
    bfloat16: () => view.setUint16(0, bfloat16Bits(value), true),
    complex64: () => view.setFloat32(0, value, true),
  };
  const write = writers[dtype];
  write?.();
  return write && bytes;
}

const rounding = new DataView(new ArrayBuffer(4));

/** float32 rounded to its upper half, ties to even; NaN stays NaN. */
function bfloat16Bits(value: number): number {
  rounding.setFloat32(0, value, true);
  const bits = rounding.getUint32(0, true);
  if (Number.isNaN(value)) return 0x7fc0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}
