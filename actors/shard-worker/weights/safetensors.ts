/** The header of a safetensors file (https://github.com/huggingface/safetensors#format): what is where. No weights are read. */
import type { Dtype } from "#ffi/array";
import { Problem } from "#protocol/problem";
import { isRecord } from "./config-entries.ts";
import { type FileBytes, quoted, truncated, withFile } from "./file-bytes.ts";
import { repeatedKey } from "./safetensors-keys.ts";

/** One tensor of a file; `offset` and `bytes` count bytes of the file. */
export interface StoredTensor {
  readonly path: string;
  readonly name: string;
  /** Absent where MLX has no such element type: the tensor can be listed, not used. */
  readonly dtype?: Dtype;
  /** As the file spells it. */
  readonly storedAs: string;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly bytes: number;
}

/** The format's own limit. */
const MOST_HEADER_BYTES = 100_000_000;
/** Before the header stands its length. */
const LENGTH_BYTES = 8;
/** MLX counts an axis in 32 bits. */
const LONGEST_AXIS = 2 ** 31 - 1;

/** Bits of one element, and MLX's name for it. Floats of 8 bits are scales: MLX takes their bytes. */
const dtypes: Readonly<Record<string, { readonly bits: number; readonly dtype?: Dtype }>> = {
  BOOL: { bits: 8, dtype: "bool" },
  U8: { bits: 8, dtype: "uint8" },
  I8: { bits: 8, dtype: "int8" },
  F8_E4M3: { bits: 8 },
  F8_E5M2: { bits: 8 },
  F8_E8M0: { bits: 8, dtype: "uint8" },
  U16: { bits: 16, dtype: "uint16" },
  I16: { bits: 16, dtype: "int16" },
  F16: { bits: 16, dtype: "float16" },
  BF16: { bits: 16, dtype: "bfloat16" },
  U32: { bits: 32, dtype: "uint32" },
  I32: { bits: 32, dtype: "int32" },
  F32: { bits: 32, dtype: "float32" },
  U64: { bits: 64, dtype: "uint64" },
  I64: { bits: 64, dtype: "int64" },
  F64: { bits: 64, dtype: "float64" },
  C64: { bits: 64, dtype: "complex64" },
  F4: { bits: 4 },
  F6_E2M3: { bits: 6 },
  F6_E3M2: { bits: 6 },
};

/**
 * Every tensor of the file, in the order of their bytes. Throws Problem naming file, tensor and byte when the header is
 * not JSON, an entry is malformed, a shape does not take the bytes it is given, or bytes lie outside the file or in two tensors.
 */
export function readSafetensors(path: string): readonly StoredTensor[] {
  return withFile(path, (file) => {
    const header = headerOf(file);
    const data = LENGTH_BYTES + header.bytes.length;
    const tensors = Object.entries(header.json)
      .filter(([name]) => name !== "__metadata__")
      .map(([name, entry]) => tensorOf(file, name, entry, data))
      .sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
    checkPlaces(file, tensors);
    return tensors;
  });
}

function headerOf(file: FileBytes): { readonly bytes: Uint8Array; readonly json: object } {
  const length = new DataView(file.read(0, LENGTH_BYTES, "the length of its header").buffer).getBigUint64(
    0,
    true,
  );
  if (length > MOST_HEADER_BYTES) {
    throw broken(file, `its header would be ${length} bytes long, at most ${MOST_HEADER_BYTES} are allowed`);
  }
  const size = Number(length);
  if (size > file.size - LENGTH_BYTES) throw truncated(file.path, file.size, `its header of ${size} bytes`);
  const bytes = file.read(LENGTH_BYTES, size, "its header");
  const json = parsed(file, bytes);
  const repeated = repeatedKey(bytes);
  if (repeated !== undefined) throw broken(file, `its header names tensor ${quoted(repeated)} twice`);
  return { bytes, json };
}

function parsed(file: FileBytes, bytes: Uint8Array): object {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw broken(file, `its header is not JSON: ${cause instanceof Error ? cause.message : cause}`);
  }
  if (!isRecord(json)) throw broken(file, "its header is not a JSON object");
  return json;
}

function tensorOf({ path }: FileBytes, name: string, entry: unknown, data: number): StoredTensor {
  const wrong = (what: string) => broken({ path }, `tensor ${quoted(name)} ${what}`);
  if (!isRecord(entry)) throw wrong("is not described by an object");
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== "string" || !Object.hasOwn(dtypes, dtype)) {
    throw wrong(`has the unknown element type ${quoted(dtype)}`);
  }
  if (!isNaturals(shape) || shape.some((n) => n > LONGEST_AXIS))
    throw wrong(`has the shape ${quoted(shape)}`);
  if (!isNaturals(offsets) || offsets.length !== 2) throw wrong(`has the data_offsets ${quoted(offsets)}`);
  const [start = 0, end = 0] = offsets;
  const known = dtypes[dtype];
  const bytes = (shape.reduce((size, n) => size * n, 1) * (known?.bits ?? 0)) / 8;
  if (end - start !== bytes) {
    throw wrong(
      `of shape [${shape.join(", ")}] and type ${dtype} takes ${bytes} bytes, but has ${end - start}, from byte ${data + start} on`,
    );
  }
  const mapped = known?.dtype === undefined ? {} : { dtype: known.dtype };
  return { path, name, ...mapped, storedAs: dtype, shape, offset: data + start, bytes };
}

function checkPlaces(file: FileBytes, tensors: readonly StoredTensor[]): void {
  let previous: StoredTensor | undefined;
  for (const tensor of tensors) {
    const { name, offset, bytes } = tensor;
    if (offset + bytes > file.size) {
      throw truncated(
        file.path,
        file.size,
        `tensor ${quoted(name)}, which takes bytes ${offset} to ${offset + bytes}`,
      );
    }
    if (bytes === 0) continue;
    if (previous !== undefined && previous.offset + previous.bytes > offset) {
      throw broken(file, `tensors ${quoted(previous.name)} and ${quoted(name)} overlap at byte ${offset}`);
    }
    previous = tensor;
  }
}

const isNaturals = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);

const broken = ({ path }: { readonly path: string }, what: string): Problem =>
  new Problem("invalid", `${path} is not a sound safetensors file: ${what}`, {
    remedy: "fetch the model again; if it stays, the file was written wrongly",
  });
