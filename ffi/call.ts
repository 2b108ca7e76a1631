/** The door between TypeScript and C: how values are handed over, how results and errors come back. */
import { type Pointer, read } from "bun:ffi";
import { Problem } from "#protocol/problem";

/** The address of a C object, known by its C type. Freed by whoever made it; 0 is "none". */
export type Handle<Of extends string> = number & { readonly handleOf?: Of };

/** Memory that C reads or writes during the call: a typed array or an address. */
export type Words = NodeJS.TypedArray | number;

/** A C string: a string is transcoded at every call (30 ns), bytes ending in 0 are passed as they are. */
export type Text = string | Uint8Array;

/** A C struct {4-byte value, bool}, which travels in one register: made by `some` and `someFloat`. */
export type Optional = number & { readonly optional?: true };

type Returned<Width> = Width extends "i32" | "f32" | "f64"
  ? number
  : Width extends "bool"
    ? boolean
    : Width extends "ptr"
      ? number | null
      : Width extends "cstring"
        ? string | null
        : Width extends "u64_fast" | "i64_fast"
          ? number | bigint
          : undefined;

/** The functions as dlopen gives them: arguments are not checked, so only the generated wrappers may call them. */
export type Raw<
  Signatures extends Record<string, { readonly args: readonly string[]; readonly returns: string }>,
> = {
  readonly [Name in keyof Signatures]: (
    ...args: readonly (Words | Text | boolean | bigint | null)[]
  ) => Returned<Signatures[Name]["returns"]>;
};

/** A failure inside MLX, with what it was asked to do. */
export class MlxError extends Error {
  override readonly name = "MlxError";
  readonly operation: string;
  readonly shapes: readonly (readonly number[])[];

  constructor(operation: string, shapes: readonly (readonly number[])[], why: string) {
    super(
      `${operation} of ${shapes.map((shape) => `[${shape.join(", ")}]`).join(", ") || "no arrays"}: ${why}`,
    );
    this.operation = operation;
    this.shapes = shapes;
  }
}

const TWO_TO_32 = 4_294_967_296;
const FLAG = TWO_TO_32;
const none = 0 as Optional;
const floatBits = new Float32Array(1);
const wordBits = new Uint32Array(floatBits.buffer);

/** An optional int or dtype. Built from numbers, because BigInt arguments cost five times as much. */
export const some = (value: number | undefined): Optional =>
  value === undefined ? none : (value >>> 0) + FLAG;

/** An optional float. */
export function someFloat(value: number | undefined): Optional {
  if (value === undefined) return none;
  floatBits[0] = value;
  return (wordBits[0] ?? 0) + FLAG;
}

/** A string for a `const char*` that is passed often. */
export const cText = (text: string): Uint8Array => new TextEncoder().encode(`${text}\0`);

/** `address` as bun:ffi's own functions want it. */
export const pointer = (address: number): Pointer => address as Pointer;

/**
 * Where C writes results: one slot reused by every call of a library. Reading it empties it, because mlx-c frees what a
 * slot that is not empty points to.
 */
export interface CallState {
  readonly out: Uint32Array;
  readonly second: Uint32Array;
  took(): number;
  tookSecond(): number;
  tookBool(): boolean;
  tookByte(): number;
  tookShort(): number;
  tookInt(): number;
  tookUint(): number;
  tookFloat(): number;
  tookDouble(): number;
  /** Throws MlxError with the text that C left, and the shapes of the arrays it was given; Problem where memory ran out. */
  failed(operation: string, arrays: readonly (number | null)[], vectors?: readonly number[]): never;
}

/** What `failed` needs of the library; bound after the wrappers exist. */
export interface FailureSource {
  /** The last error's text, which is then forgotten. */
  message(): string;
  shape(array: number): readonly number[];
  shapesIn(vector: number): readonly (readonly number[])[];
}

export function callState(source: () => FailureSource): CallState {
  const out = new Uint32Array(2);
  const second = new Uint32Array(2);
  const view = new DataView(out.buffer);
  const emptied = <T>(value: T): T => {
    out[0] = 0;
    out[1] = 0;
    return value;
  };
  const take = (slot: Uint32Array): number => {
    const address = (slot[0] ?? 0) + (slot[1] ?? 0) * TWO_TO_32;
    slot[0] = 0;
    slot[1] = 0;
    return address;
  };
  return {
    out,
    second,
    took: () => take(out),
    tookSecond: () => take(second),
    tookBool: () => emptied(view.getUint8(0) !== 0),
    tookByte: () => emptied(view.getUint8(0)),
    tookShort: () => emptied(view.getUint16(0, true)),
    tookInt: () => emptied(view.getInt32(0, true)),
    tookUint: () => emptied(view.getUint32(0, true)),
    tookFloat: () => emptied(view.getFloat32(0, true)),
    tookDouble: () => emptied(view.getFloat64(0, true)),
    failed(operation, arrays, vectors = []) {
      take(out);
      take(second);
      const { message, shape, shapesIn } = source();
      const given = arrays.filter((array): array is number => array !== null && array !== 0);
      const freed = arrays.includes(0);
      const why = freed ? "an array was used after it was freed" : message();
      if (NO_MEMORY.test(why)) throw noMemory(operation, why);
      throw new MlxError(operation, [...given.map(shape), ...vectors.flatMap(shapesIn)], why);
    },
  };
}

/** What the shim and the C++ library say when the system refuses memory. */
const NO_MEMORY = /no memory for \d+ bytes|std::bad_alloc/;

const noMemory = (operation: string, why: string): Problem =>
  new Problem("doesNotFit", `the system refused memory: ${operation}: ${why}`, {
    remedy: "ask for less at a time, unload other models (exo stop), or raise the limit that exo runs under",
  });

/** `count` 32-bit integers from an address that C gave. */
export function readInts(address: number, count: number): readonly number[] {
  const values: number[] = [];
  for (let i = 0; i < count; i++) values.push(read.i32(pointer(address), i * 4));
  return values;
}
