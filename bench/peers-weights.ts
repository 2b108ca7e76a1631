/** A llama of a given shape with random weights, as a GGUF file in Q4_0 or Q4_1 whose values are the same. */
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { dirname } from "node:path";

export interface LlamaShape {
  readonly layers: number;
  readonly hidden: number;
  readonly feedForward: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly vocabulary: number;
  readonly context: number;
}

/** What people call a 1B: 1.1 billion weights, of which a decoded token reads all but the embedding. */
export const ONE_BILLION: LlamaShape = {
  layers: 16,
  hidden: 2048,
  feedForward: 8192,
  heads: 32,
  kvHeads: 8,
  vocabulary: 32_000,
  context: 16_384,
};

export type Packing = "Q4_0" | "Q4_1";
/** Block sizes and type numbers: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and ggml-common.h. */
const PACKINGS = {
  Q4_0: { type: 2, bytes: 18, fileType: 2 },
  Q4_1: { type: 3, bytes: 20, fileType: 3 },
} as const;
const BLOCK = 32;
const ALIGNMENT = 32;
const F32 = 0;
/** Standard deviation of a code drawn evenly from -8 to 7. */
const CODE_DEVIATION = 4.61;

interface Tensor {
  readonly name: string;
  readonly rows: number;
  /** 0: a vector in F32 of ones. */
  readonly columns: number;
}

/** Writes the file unless it is there; returns its path. One shape, packing and seed give the same bytes. */
export async function randomLlama(path: string, shape: LlamaShape, packing: Packing): Promise<string> {
  if (existsSync(path)) return path;
  mkdirSync(dirname(path), { recursive: true });
  const tensors = tensorsOf(shape);
  const writer = Bun.file(`${path}.part`).writer({ highWaterMark: 1 << 20 });
  writer.write(header(shape, tensors, packing));
  for (const [i, tensor] of tensors.entries()) {
    writer.write(tensor.columns === 0 ? ones(tensor.rows) : packed(tensor, packing, i + 1));
    await writer.flush();
  }
  await writer.end();
  renameSync(`${path}.part`, path);
  return path;
}

function tensorsOf({
  layers,
  hidden,
  feedForward,
  heads,
  kvHeads,
  vocabulary,
}: LlamaShape): readonly Tensor[] {
  const kv = (hidden / heads) * kvHeads;
  const matrix = (name: string, rows: number, columns: number): Tensor => ({
    name: `${name}.weight`,
    rows,
    columns,
  });
  const layer = (at: string): Tensor[] => [
    matrix(`${at}.attn_norm`, hidden, 0),
    matrix(`${at}.attn_q`, hidden, hidden),
    matrix(`${at}.attn_k`, kv, hidden),
    matrix(`${at}.attn_v`, kv, hidden),
    matrix(`${at}.attn_output`, hidden, hidden),
    matrix(`${at}.ffn_norm`, hidden, 0),
    matrix(`${at}.ffn_gate`, feedForward, hidden),
    matrix(`${at}.ffn_up`, feedForward, hidden),
    matrix(`${at}.ffn_down`, hidden, feedForward),
  ];
  return [
    matrix("token_embd", vocabulary, hidden),
    ...Array.from({ length: layers }, (_, i) => layer(`blk.${i}`)).flat(),
    matrix("output_norm", hidden, 0),
    matrix("output", vocabulary, hidden),
  ];
}

const sizeOf = ({ rows, columns }: Tensor, packing: Packing): number =>
  columns === 0 ? rows * 4 : (rows * columns * PACKINGS[packing].bytes) / BLOCK;

const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

const ones = (count: number): Uint8Array => new Uint8Array(new Float32Array(count).fill(1).buffer);

/** Codes of an xorshift (Marsaglia, 2003), scales so that activations neither grow nor shrink. */
function packed({ rows, columns }: Tensor, packing: Packing, seed: number): Uint8Array {
  const { bytes: blockBytes } = PACKINGS[packing];
  const blocks = (rows * columns) / BLOCK;
  const bytes = new Uint8Array(aligned(blocks * blockBytes));
  const view = new DataView(bytes.buffer);
  const scale = 1 / (Math.sqrt(columns) * CODE_DEVIATION);
  let state = (seed * 0x9e3779b1) | 1;
  for (let block = 0; block < blocks; block++) {
    let at = block * blockBytes;
    // Three quarters to five quarters of it, rounded to float16, of which eight times is exact as well.
    view.setFloat16(at, scale * (0.75 + (state & 63) / 128), true);
    at += 2;
    if (packing === "Q4_1") {
      view.setFloat16(at, -8 * view.getFloat16(at - 2, true), true);
      at += 2;
    }
    for (let word = 0; word < 4; word++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      view.setUint32(at + 4 * word, state >>> 0, true);
    }
  }
  return bytes;
}

function header(shape: LlamaShape, tensors: readonly Tensor[], packing: Packing): Uint8Array {
  const entries = metadata(shape, packing);
  const parts: Uint8Array[] = [Buffer.from("GGUF"), u32(3), u64(tensors.length), u64(entries.length)];
  for (const [key, value] of entries) parts.push(text(key), value);
  let offset = 0;
  for (const tensor of tensors) {
    const { name, rows, columns } = tensor;
    const sizes = columns === 0 ? [rows] : [columns, rows];
    const type = columns === 0 ? F32 : PACKINGS[packing].type;
    parts.push(text(name), u32(sizes.length), ...sizes.map(u64), u32(type), u64(offset));
    offset += aligned(sizeOf(tensor, packing));
  }
  const bytes = Buffer.concat(parts);
  return Buffer.concat([bytes, new Uint8Array(aligned(bytes.length) - bytes.length)]);
}

const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
const u64 = (value: number): Uint8Array => new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
const text = (value: string): Uint8Array =>
  Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);

const count = (value: number): Uint8Array => Buffer.concat([u32(4), u32(value)]);
const real = (value: number): Uint8Array =>
  Buffer.concat([u32(6), new Uint8Array(Float32Array.of(value).buffer)]);
const word = (value: string): Uint8Array => Buffer.concat([u32(8), text(value)]);
const list = (of: number, items: number, bytes: Uint8Array): Uint8Array =>
  Buffer.concat([u32(9), u32(of), u64(items), bytes]);

/** Token types of a SentencePiece vocabulary. */
const [NORMAL, UNKNOWN, CONTROL, BYTE] = [1, 2, 3, 6];

function metadata(shape: LlamaShape, packing: Packing): readonly (readonly [string, Uint8Array])[] {
  const { layers, hidden, feedForward, heads, kvHeads, vocabulary, context } = shape;
  const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`);
  const named = ["<unk>", "<s>", "</s>", ...bytes];
  // Names of which none is made of two others: a tokenizer then finds no merges to build.
  const tokens = [...named, ...Array.from({ length: vocabulary - named.length }, (_, i) => `▁w${i}x`)];
  const types = tokens.map((_, i) =>
    i === 0 ? UNKNOWN : i < 3 ? CONTROL : i < named.length ? BYTE : NORMAL,
  );
  return [
    ["general.architecture", word("llama")],
    ["general.name", word(`random ${packing}`)],
    ["general.file_type", count(PACKINGS[packing].fileType)],
    ["general.quantization_version", count(2)],
    ["llama.block_count", count(layers)],
    ["llama.context_length", count(context)],
    ["llama.embedding_length", count(hidden)],
    ["llama.feed_forward_length", count(feedForward)],
    ["llama.attention.head_count", count(heads)],
    ["llama.attention.head_count_kv", count(kvHeads)],
    ["llama.attention.layer_norm_rms_epsilon", real(1e-5)],
    ["llama.rope.dimension_count", count(hidden / heads)],
    ["llama.rope.freq_base", real(10_000)],
    ["llama.vocab_size", count(vocabulary)],
    ["tokenizer.ggml.model", word("llama")],
    ["tokenizer.ggml.tokens", list(8, tokens.length, Buffer.concat(tokens.map(text)))],
    [
      "tokenizer.ggml.scores",
      list(6, tokens.length, new Uint8Array(new Float32Array(tokens.map((_, i) => -i)).buffer)),
    ],
    ["tokenizer.ggml.token_type", list(5, tokens.length, new Uint8Array(Int32Array.from(types).buffer))],
    ["tokenizer.ggml.bos_token_id", count(1)],
    ["tokenizer.ggml.eos_token_id", count(2)],
    ["tokenizer.ggml.unknown_token_id", count(0)],
  ];
}
