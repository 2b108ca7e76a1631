/** What a checkpoint holds, in numbers and in the words that `exo show` prints. */
import type { Dtype, Quantisation } from "#ffi/array";
import type { QuantisationRules } from "./config-quantisation.ts";
import { quantisationAt } from "./config-quantisation.ts";
import type { GgmlType } from "./ggml-types.ts";
import type { GgufNamed } from "./gguf-names.ts";
import type { SizedTensor } from "./model-shape.ts";
import type { NamedTensor } from "./names.ts";

export interface CheckpointFacts {
  /** `4-bit affine, group 64`; `bfloat16`; `Q4_K as 4-bit affine (scales rounded to float16)`. */
  readonly quantisation: string;
  /** What the weights take in memory, all layers and ranks together. */
  readonly weightBytes: number;
  readonly tensors: number;
}

/** Less than this share of the bytes is not worth a word: norms, router weights. */
const SHARE_TO_NAME = 0.01;

export function folderFacts(
  tensors: ReadonlyMap<string, NamedTensor>,
  rules: QuantisationRules | undefined,
): CheckpointFacts {
  const kinds = new Map<string, number>();
  for (const { name, bytes, storedAs, dtype } of tensors.values()) {
    const module = name.replace(/\.(weight|scales|biases)$/, "");
    const as = quantisationAt(rules, module, tensors.has(`${module}.scales`));
    add(kinds, as ? packedWords(as) : (dtype ?? storedAs), bytes);
  }
  return { quantisation: listed(kinds).join(", "), weightBytes: sum(kinds), tensors: tensors.size };
}

export function ggufFacts(tensors: ReadonlyMap<string, GgufNamed>): CheckpointFacts {
  const kinds = new Map<string, number>();
  for (const { tensor } of tensors.values())
    add(kinds, ggmlWords(tensor.type), heldBytes(tensor.shape, tensor.type));
  return { quantisation: listed(kinds).join(", "), weightBytes: sum(kinds), tensors: tensors.size };
}

/** Bytes of a GGUF tensor once unpacked. */
export function heldBytes(shape: readonly number[], { held, values, bytes }: GgmlType): number {
  const count = product(shape);
  if (held?.kind !== "packed") return (count / values) * bytes;
  const { bits, groupSize, mode } = held.as;
  // A scale and a bias in float16, or one scale of 8 bits.
  return (count * bits) / 8 + (count / groupSize) * (mode === "affine" ? 4 : 1);
}

const product = (shape: readonly number[]): number => shape.reduce((size, n) => size * n, 1);

/** Bits of one word of MLX's packed matrices. */
const WORD_BITS = 32;

/** For planning. Values are counted unpacked: a word holds as many as its bits allow. */
export const sizedFolder = (
  tensors: ReadonlyMap<string, NamedTensor>,
  rules: QuantisationRules | undefined,
): readonly SizedTensor[] =>
  [...tensors.values()].map(({ name, bytes, shape }) => {
    const module = name.replace(/\.weight$/, "");
    const as = quantisationAt(rules, module, tensors.has(`${module}.scales`));
    const values = as ? (product(shape) * WORD_BITS) / as.bits : product(shape);
    return { name, bytes, values, group: as?.groupSize ?? 1 };
  });

export const sizedGguf = (tensors: ReadonlyMap<string, GgufNamed>): readonly SizedTensor[] =>
  [...tensors.values()].map(({ name, tensor: { shape, type } }) => ({
    name,
    bytes: heldBytes(shape, type),
    values: product(shape),
    group: type.held?.kind === "packed" ? type.held.as.groupSize : 1,
  }));

const packedWords = ({ bits, mode, groupSize }: Quantisation): string =>
  mode === "affine" ? `${bits}-bit affine, group ${groupSize}` : mode;

const losses = {
  none: "exact",
  scales: "scales rounded to float16",
  steps: "weights moved by at most 1/510 of the range of 32",
} as const;

function ggmlWords({ name, held }: GgmlType): string {
  if (!held) return name;
  if (held.kind === "elements") return dtypeWords(held.dtype);
  const { mode, bits } = held.as;
  return `${name} as ${mode === "affine" ? `${bits}-bit affine` : mode} (${losses[held.loss]})`;
}

const dtypeWords = (dtype: Dtype): string => dtype;

function add(kinds: Map<string, number>, kind: string, bytes: number): void {
  kinds.set(kind, (kinds.get(kind) ?? 0) + bytes);
}

const sum = (kinds: ReadonlyMap<string, number>): number =>
  [...kinds.values()].reduce((total, bytes) => total + bytes, 0);

/** Largest share first. */
function listed(kinds: ReadonlyMap<string, number>): readonly string[] {
  const total = sum(kinds);
  return [...kinds]
    .filter(([, bytes]) => bytes >= total * SHARE_TO_NAME)
    .sort(([, a], [, b]) => b - a)
    .map(([kind]) => kind);
}
