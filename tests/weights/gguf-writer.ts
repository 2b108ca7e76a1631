/** Writes GGUF files for tests. */

/** A value with the type it is written as; a list needs the type of its members. */
export type Value =
  | {
      readonly type: "u8" | "i8" | "u16" | "i16" | "u32" | "i32" | "f32" | "u64" | "i64" | "f64";
      readonly value: number;
    }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | {
      readonly type: "array";
      readonly of: Exclude<Value["type"], "array">;
      readonly value: readonly (number | string | boolean)[];
    };

export interface GgufTensorToWrite {
  readonly name: string;
  /** ggml's number. */
  readonly type: number;
  /** Rows first, as Hugging Face has it. */
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

export const u32 = (value: number): Value => ({ type: "u32", value });
export const f32 = (value: number): Value => ({ type: "f32", value });
export const text = (value: string): Value => ({ type: "string", value });
export const flag = (value: boolean): Value => ({ type: "bool", value });
export const texts = (...value: readonly string[]): Value => ({ type: "array", of: "string", value });

const typeIds = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;

/** The bytes of a file. `alignment` must agree with `general.alignment` where the metadata has it. */
export function gguf(
  metadata: Readonly<Record<string, Value>>,
  tensors: readonly GgufTensorToWrite[],
  { version = 3, alignment = 32 } = {},
): Uint8Array {
  const parts: Uint8Array[] = [Buffer.from("GGUF"), number("u32", version), number("u64", tensors.length)];
  parts.push(number("u64", Object.keys(metadata).length));
  for (const [key, value] of Object.entries(metadata))
    parts.push(string(key), number("u32", typeIds[value.type]), encoded(value));
  let offset = 0;
  for (const { name, type, shape, data } of tensors) {
    parts.push(string(name), number("u32", shape.length), ...shape.toReversed().map((n) => number("u64", n)));
    parts.push(number("u32", type), number("u64", offset));
    offset += aligned(data.length, alignment);
  }
  const header = Buffer.concat(parts);
  const bodies = tensors.map(({ data }, i) => (i === tensors.length - 1 ? data : padded(data, alignment)));
  return Buffer.concat([tensors.length === 0 ? header : padded(header, alignment), ...bodies]);
}

const aligned = (length: number, alignment: number) => Math.ceil(length / alignment) * alignment;

function padded(bytes: Uint8Array, alignment: number): Uint8Array {
  const room = new Uint8Array(aligned(bytes.length, alignment));
  room.set(bytes);
  return room;
}

function encoded(value: Value): Uint8Array {
  if (value.type === "string") return string(value.value);
  if (value.type === "bool") return Uint8Array.of(value.value ? 1 : 0);
  if (value.type !== "array") return number(value.type, value.value);
  const members = value.value.map((member) => encoded({ type: value.of, value: member } as Value));
  return Buffer.concat([number("u32", typeIds[value.of]), number("u64", members.length), ...members]);
}

function string(value: string): Uint8Array {
  const bytes = new TextEncoder().encode(value);
  return Buffer.concat([number("u64", bytes.length), bytes]);
}

function number(type: Exclude<Value["type"], "bool" | "string" | "array">, value: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  const writers = {
    u8: () => view.setUint8(0, value),
    i8: () => view.setInt8(0, value),
    u16: () => view.setUint16(0, value, true),
    i16: () => view.setInt16(0, value, true),
    u32: () => view.setUint32(0, value, true),
    i32: () => view.setInt32(0, value, true),
    f32: () => view.setFloat32(0, value, true),
    u64: () => view.setBigUint64(0, BigInt(value), true),
    i64: () => view.setBigInt64(0, BigInt(value), true),
    f64: () => view.setFloat64(0, value, true),
  };
  writers[type]();
  const bytes = { u8: 1, i8: 1, u16: 2, i16: 2, u32: 4, i32: 4, f32: 4, u64: 8, i64: 8, f64: 8 }[type];
  return new Uint8Array(view.buffer, 0, bytes);
}
