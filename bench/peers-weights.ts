/**
 * A model of a given shape with random weights, as a GGUF file in Q4_0 or Q4_1 whose values are the same: a llama, or
 * with experts a qwen3_moe.
 */
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import { randomOf } from "#actors/supervisor/bench/random";

export interface ModelShape {
  readonly layers: number;
  readonly hidden: number;
  readonly feedForward: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly vocabulary: number;
  readonly context: number;
  /** Makes it a qwen3_moe: `feedForward` is then of each expert. */
  readonly experts?: { readonly count: number; readonly used: number };
}

/** What people call a 1B: 1.1 billion weights, of which a decoded token reads all but the embedding. */
export const ONE_BILLION: ModelShape = {
  layers: 16,
  hidden: 2048,
  feedForward: 8192,
  heads: 32,
  kvHeads: 8,
  vocabulary: 32_000,
  context: 16_384,
};

/** The shape of Mistral 7B: what sharing each layer between machines is for. */
export const SEVEN_BILLION: ModelShape = {
  layers: 32,
  hidden: 4096,
  feedForward: 14_336,
  heads: 32,
  kvHeads: 8,
  vocabulary: 32_000,
  context: 16_384,
};

/** 1.3 billion weights, of which a token reads some 230 million: experts decide, not the caches. */
export const EXPERTS: ModelShape = {
  layers: 16,
  hidden: 1024,
  feedForward: 768,
  heads: 16,
  kvHeads: 4,
  vocabulary: 32_000,
  context: 16_384,
  experts: { count: 32, used: 4 },
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
  /** Row-major: the last is the one that blocks lie along. */
  readonly sizes: readonly number[];
  /** Norms are ones in F32, a router is random in F32, all else is packed. */
  readonly kind: "ones" | "router" | "packed";
}

/** Writes the file unless it is there; returns its path. One shape, packing and seed give the same bytes. */
export async function randomModel(path: string, shape: ModelShape, packing: Packing): Promise<string> {
  if (existsSync(path)) return path;
  mkdirSync(dirname(path), { recursive: true });
  const tensors = tensorsOf(shape);
  const writer = Bun.file(`${path}.part`).writer({ highWaterMark: 1 << 20 });
  writer.write(header(shape, tensors, packing));
  for (const [i, tensor] of tensors.entries()) {
    writer.write(bytesOf(tensor, packing, i + 1));
    await writer.flush();
  }
  await writer.end();
  renameSync(`${path}.part`, path);
  return path;
}

/** Bytes of the weights that one token of a model without experts reads: all but the embedding, of which it is one row. */
export function decodedBytes(shape: ModelShape, packing: Packing): number {
  if (shape.experts) throw new Error("which experts a token reads is not known beforehand");
  const read = tensorsOf(shape).filter(({ name }) => !name.startsWith("token_embd"));
  return read.reduce((sum, tensor) => sum + sizeOf(tensor, packing), 0);
}

function tensorsOf(shape: ModelShape): readonly Tensor[] {
  const { layers, hidden, heads, kvHeads, vocabulary, experts } = shape;
  const headDims = hidden / heads;
  const layer = (at: string): Tensor[] => [
    norm(`${at}.attn_norm`, hidden),
    matrix(`${at}.attn_q`, hidden, hidden),
    matrix(`${at}.attn_k`, headDims * kvHeads, hidden),
    matrix(`${at}.attn_v`, headDims * kvHeads, hidden),
    matrix(`${at}.attn_output`, hidden, hidden),
    ...(experts ? [norm(`${at}.attn_q_norm`, headDims), norm(`${at}.attn_k_norm`, headDims)] : []),
    norm(`${at}.ffn_norm`, hidden),
    ...feedForwardOf(at, shape),
  ];
  return [
    matrix("token_embd", vocabulary, hidden),
    ...Array.from({ length: layers }, (_, i) => layer(`blk.${i}`)).flat(),
    norm("output_norm", hidden),
    matrix("output", vocabulary, hidden),
  ];
}

const matrix = (name: string, ...sizes: readonly number[]): Tensor => ({
  name: `${name}.weight`,
  sizes,
  kind: "packed",
});
const norm = (name: string, size: number): Tensor => ({
  name: `${name}.weight`,
  sizes: [size],
  kind: "ones",
});

function feedForwardOf(at: string, { hidden, feedForward, experts }: ModelShape): readonly Tensor[] {
  if (!experts) {
    return [
      matrix(`${at}.ffn_gate`, feedForward, hidden),
      matrix(`${at}.ffn_up`, feedForward, hidden),
      matrix(`${at}.ffn_down`, hidden, feedForward),
    ];
  }
  const { count: all } = experts;
  return [
    { name: `${at}.ffn_gate_inp.weight`, sizes: [all, hidden], kind: "router" },
    matrix(`${at}.ffn_gate_exps`, all, feedForward, hidden),
    matrix(`${at}.ffn_up_exps`, all, feedForward, hidden),
    matrix(`${at}.ffn_down_exps`, all, hidden, feedForward),
  ];
}

const elementsOf = ({ sizes }: Tensor): number => sizes.reduce((product, size) => product * size, 1);

const sizeOf = (tensor: Tensor, packing: Packing): number =>
  tensor.kind === "packed" ? (elementsOf(tensor) * PACKINGS[packing].bytes) / BLOCK : elementsOf(tensor) * 4;

const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

function bytesOf(tensor: Tensor, packing: Packing, seed: number): Uint8Array {
  switch (tensor.kind) {
    case "ones":
      return padded(new Float32Array(elementsOf(tensor)).fill(1));
    case "router": {
      const random = randomOf(seed, tensor.name);
      const scale = 1 / Math.sqrt(tensor.sizes.at(-1) ?? 1);
      return padded(Float32Array.from({ length: elementsOf(tensor) }, () => random.normal() * scale));
    }
    case "packed":
      return packed(tensor, packing, seed);
  }
}

function padded(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(aligned(values.byteLength));
  bytes.set(new Uint8Array(values.buffer));
  return bytes;
}

/** Codes of an xorshift (Marsaglia, 2003), scales so that activations neither grow nor shrink. */
function packed(tensor: Tensor, packing: Packing, seed: number): Uint8Array {
  const { bytes: blockBytes } = PACKINGS[packing];
  const blocks = elementsOf(tensor) / BLOCK;
  const bytes = new Uint8Array(aligned(blocks * blockBytes));
  const view = new DataView(bytes.buffer);
  const scale = 1 / (Math.sqrt(tensor.sizes.at(-1) ?? 1) * CODE_DEVIATION);
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

function header(shape: ModelShape, tensors: readonly Tensor[], packing: Packing): Uint8Array {
  const entries = metadata(shape, packing);
  const parts: Uint8Array[] = [Buffer.from("GGUF"), u32(3), u64(tensors.length), u64(entries.length)];
  for (const [key, value] of entries) parts.push(text(key), value);
  let offset = 0;
  for (const tensor of tensors) {
    const { name, kind } = tensor;
    const sizes = tensor.sizes.toReversed();
    const type = kind === "packed" ? PACKINGS[packing].type : F32;
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

function metadata(shape: ModelShape, packing: Packing): readonly (readonly [string, Uint8Array])[] {
  const { layers, hidden, feedForward, heads, kvHeads, vocabulary, context, experts } = shape;
  const architecture = experts ? "qwen3moe" : "llama";
  const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`);
  const named = ["<unk>", "<s>", "</s>", ...bytes];
  // Names of which none is made of two others: a tokenizer then finds no merges to build.
  const tokens = [...named, ...Array.from({ length: vocabulary - named.length }, (_, i) => `▁w${i}x`)];
  const types = tokens.map((_, i) =>
    i === 0 ? UNKNOWN : i < 3 ? CONTROL : i < named.length ? BYTE : NORMAL,
  );
  return [
    ["general.architecture", word(architecture)],
    ["general.name", word(`random ${packing}`)],
    ["general.file_type", count(PACKINGS[packing].fileType)],
    ["general.quantization_version", count(2)],
    [`${architecture}.block_count`, count(layers)],
    [`${architecture}.context_length`, count(context)],
    [`${architecture}.embedding_length`, count(hidden)],
    [`${architecture}.feed_forward_length`, count(feedForward)],
    [`${architecture}.attention.head_count`, count(heads)],
    [`${architecture}.attention.head_count_kv`, count(kvHeads)],
    [`${architecture}.attention.layer_norm_rms_epsilon`, real(1e-5)],
    [`${architecture}.rope.dimension_count`, count(hidden / heads)],
    [`${architecture}.rope.freq_base`, real(10_000)],
    [`${architecture}.vocab_size`, count(vocabulary)],
    [`${architecture}.attention.key_length`, count(hidden / heads)],
    [`${architecture}.attention.value_length`, count(hidden / heads)],
    ...expertEntries(shape),
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

const expertEntries = ({ experts, feedForward }: ModelShape): readonly (readonly [string, Uint8Array])[] =>
  experts
    ? [
        ["qwen3moe.expert_count", count(experts.count)],
        ["qwen3moe.expert_used_count", count(experts.used)],
        ["qwen3moe.expert_feed_forward_length", count(feedForward)],
      ]
    : [];
