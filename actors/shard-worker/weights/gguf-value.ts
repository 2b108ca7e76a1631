/** Metadata values of a GGUF file. */
import type { GgufCursor } from "./gguf-cursor.ts";

export type GgufValue =
  | number
  | boolean
  | string
  | Float64Array
  | Float32Array
  | Int32Array
  | readonly GgufValue[];

/** Arrays of arrays of arrays do not occur; the limit keeps a hostile file from exhausting the stack. */
const DEEPEST_ARRAY = 4;
const [U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64] = Array.from(
  { length: 13 },
  (_, id) => id,
);

/** Bytes that a value of a type takes at least. */
const least: Readonly<Record<number, number>> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  8: 8,
  9: 12,
  10: 8,
  11: 8,
  12: 8,
};

/** The value of that type at the cursor. 64-bit integers become numbers. */
export function readValue(cursor: GgufCursor, type: number, depth = 0): GgufValue {
  if (type === STRING) return cursor.string();
  if (type === ARRAY) return readArray(cursor, depth + 1);
  if (type === BOOL) return readBool(cursor);
  return numberReader(cursor, type)();
}

function readBool(cursor: GgufCursor): boolean {
  const byte = cursor.u8();
  if (byte > 1) throw cursor.broken(`a truth value is ${byte}, 0 or 1 are possible`);
  return byte === 1;
}

function readArray(cursor: GgufCursor, depth: number): GgufValue {
  if (depth > DEEPEST_ARRAY) throw cursor.broken(`arrays stand ${depth} deep in one another`);
  const type = cursor.u32();
  const size = least[type];
  if (size === undefined) throw unknownType(cursor, type);
  const count = cursor.count(size);
  if (type === STRING || type === ARRAY || type === BOOL) {
    return Array.from({ length: count }, () => readValue(cursor, type, depth));
  }
  // Token types and scores are the long ones, and these two types; both are aligned by the copy.
  if (type === F32) return new Float32Array(cursor.bytes(4 * count).buffer);
  if (type === I32) return new Int32Array(cursor.bytes(4 * count).buffer);
  return Float64Array.from({ length: count }, numberReader(cursor, type));
}

function numberReader(cursor: GgufCursor, type: number): () => number {
  switch (type) {
    case U8:
      return cursor.u8;
    case I8:
      return cursor.i8;
    case U16:
      return cursor.u16;
    case I16:
      return cursor.i16;
    case U32:
      return cursor.u32;
    case I32:
      return cursor.i32;
    case F32:
      return cursor.f32;
    case U64:
      return cursor.u64;
    case I64:
      return cursor.i64;
    case F64:
      return cursor.f64;
    default:
      throw unknownType(cursor, type);
  }
}

const unknownType = (cursor: GgufCursor, type: number) =>
  cursor.broken(`a value has the unknown type ${type}`);
