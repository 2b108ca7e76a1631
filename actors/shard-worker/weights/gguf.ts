/** The header of a GGUF file, versions 2 and 3: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. No weights are read. */
import { Problem } from "#protocol/problem";
import { quoted, truncated, withFile } from "./file-bytes.ts";
import { type GgmlType, ggmlType } from "./ggml-types.ts";
import { GgufCursor } from "./gguf-cursor.ts";
import { type GgufValue, readValue } from "./gguf-value.ts";

export interface GgufTensor {
  readonly path: string;
  readonly name: string;
  readonly type: GgmlType;
  /** Rows first, as Hugging Face has it: the file stores the axes the other way round. */
  readonly shape: readonly number[];
  /** Counts bytes of the file. */
  readonly offset: number;
  readonly bytes: number;
}

export interface GgufFile {
  readonly path: string;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly GgufTensor[];
}

const MAGIC = "GGUF";
const DEFAULT_ALIGNMENT = 32;
/** Alignments are powers of two of some tens of bytes; a page is the most that makes sense. */
const MOST_ALIGNMENT = 65_536;
/** ggml's own limits: 64 bytes of name and 4 axes; a longer key than 65,535 bytes is invalid. */
const MOST_NAME_BYTES = 1024;
const MOST_KEY_BYTES = 65_535;
const MOST_AXES = 4;
const LONGEST_AXIS = 2 ** 31 - 1;
/** The least that one entry takes: a name's length, axes, type, offset; a key's length, type, one byte. */
const LEAST_TENSOR_BYTES = 24;
const LEAST_PAIR_BYTES = 13;

/** Throws Problem naming file, tensor and byte where the file is cut short, and what is wrong where it is not sound. */
export function readGguf(path: string): GgufFile {
  return withFile(path, (file) => {
    const cursor = new GgufCursor(file);
    const { tensorCount, pairCount } = readStart(cursor);
    const metadata = readMetadata(cursor, pairCount);
    const infos = readInfos(cursor, tensorCount);
    const alignment = alignmentOf(cursor, metadata);
    const data = Math.ceil(cursor.position / alignment) * alignment;
    const tensors = infos.map((info) => placed(cursor, info, data, alignment));
    checkPlaces(path, file.size, tensors);
    return { path, metadata, tensors };
  });
}

function readStart(cursor: GgufCursor): { tensorCount: number; pairCount: number } {
  const { path } = cursor.file;
  const magic = new TextDecoder("latin1").decode(cursor.bytes(MAGIC.length));
  if (magic !== MAGIC)
    throw new Problem("invalid", `${path} is not a GGUF file: it starts with ${quoted(magic)}`);
  const version = cursor.u32();
  if (version !== 2 && version !== 3) {
    const bigEndian = version !== 0 && (version & 0xffff) === 0;
    throw new Problem(
      "invalid",
      `${path} is GGUF ${bigEndian ? "for big-endian machines" : `version ${version}`}; versions 2 and 3, little-endian, can be read`,
      {
        remedy: "convert the model again with a current converter",
      },
    );
  }
  const tensorCount = cursor.reading("the number of its tensors").count(LEAST_TENSOR_BYTES);
  return {
    tensorCount,
    pairCount: cursor.reading("the number of its metadata keys").count(LEAST_PAIR_BYTES),
  };
}

function readMetadata(cursor: GgufCursor, count: number): ReadonlyMap<string, GgufValue> {
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < count; i++) {
    const key = cursor.reading(`metadata key ${i + 1} of ${count}`).string(MOST_KEY_BYTES);
    cursor.reading(`metadata ${quoted(key)}`);
    if (metadata.has(key)) throw cursor.broken("the key stands there twice");
    metadata.set(key, readValue(cursor, cursor.u32()));
  }
  return metadata;
}

interface TensorInfo {
  readonly name: string;
  readonly axes: readonly number[];
  readonly type: GgmlType;
  readonly offset: number;
}

function readInfos(cursor: GgufCursor, count: number): readonly TensorInfo[] {
  const seen = new Set<string>();
  return Array.from({ length: count }, (_, i) => {
    const name = cursor.reading(`the entry of tensor ${i + 1} of ${count}`).string(MOST_NAME_BYTES);
    cursor.reading(`the entry of tensor ${quoted(name)}`);
    if (seen.has(name)) throw cursor.broken("there are two tensors of this name");
    seen.add(name);
    const rank = cursor.u32();
    if (rank < 1 || rank > MOST_AXES)
      throw cursor.broken(`it has ${rank} axes, 1 to ${MOST_AXES} are possible`);
    const axes = Array.from({ length: rank }, cursor.u64);
    if (axes.some((n) => n < 1 || n > LONGEST_AXIS)) throw cursor.broken(`its axes are ${axes.join(", ")}`);
    const id = cursor.u32();
    const type = ggmlType(id);
    if (!type) throw cursor.broken(`its element type is ${id}, which is not known`);
    return { name, axes, type, offset: cursor.u64() };
  });
}

function alignmentOf(cursor: GgufCursor, metadata: ReadonlyMap<string, GgufValue>): number {
  const alignment = metadata.get("general.alignment") ?? DEFAULT_ALIGNMENT;
  if (typeof alignment === "number" && alignment % 8 === 0 && alignment > 0 && alignment <= MOST_ALIGNMENT) {
    return alignment;
  }
  throw cursor.reading("its metadata").broken(`general.alignment is ${quoted(alignment)}`);
}

function placed(cursor: GgufCursor, info: TensorInfo, data: number, alignment: number): GgufTensor {
  const { name, axes, type, offset } = info;
  const { path } = cursor.file;
  cursor.reading(`tensor ${quoted(name)}`);
  const [columns = 1] = axes;
  if (columns % type.values !== 0) {
    throw cursor.broken(`rows of ${columns} values do not divide into ${type.name} blocks of ${type.values}`);
  }
  if (offset % alignment !== 0) throw cursor.broken(`its offset ${offset} is not a multiple of ${alignment}`);
  const bytes = axes.reduce((size, n) => size * n, type.bytes / type.values);
  return { path, name, type, shape: axes.toReversed(), offset: data + offset, bytes };
}

function checkPlaces(path: string, size: number, tensors: readonly GgufTensor[]): void {
  let previous: GgufTensor | undefined;
  for (const tensor of tensors.toSorted((a, b) => a.offset - b.offset)) {
    const { name, offset, bytes } = tensor;
    if (!(offset + bytes <= size)) {
      throw truncated(path, size, `tensor ${quoted(name)}, which takes bytes ${offset} to ${offset + bytes}`);
    }
    if (previous !== undefined && previous.offset + previous.bytes > offset) {
      throw new Problem(
        "invalid",
        `${path} is not a sound GGUF file: tensors ${quoted(previous.name)} and ${quoted(name)} overlap at byte ${offset}`,
      );
    }
    previous = tensor;
  }
}
