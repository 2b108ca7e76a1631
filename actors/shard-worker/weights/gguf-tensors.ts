/** Checks on a GGUF file's tensors, and the one small tensor that is part of the config. */
import { Problem } from "#protocol/problem";
import { quoted, withFile } from "./file-bytes.ts";
import { usableGgmlTypes } from "./ggml-types.ts";
import type { GgufFile } from "./gguf.ts";
import type { GgufModelConfig } from "./gguf-config.ts";
import type { GgufNamed } from "./gguf-names.ts";

/** One factor per pair of channels of a head: heads are never longer than some hundreds. */
const MOST_FACTORS = 4096;

/** What multiplies the period of each channel pair, where the file carries it: Llama 3.1's scaling. */
export function ropeFactors({ tensors }: GgufFile): readonly number[] | undefined {
  const found = tensors.find(({ name }) => name === "rope_freqs.weight");
  if (!found) return undefined;
  const { path, type, bytes, offset } = found;
  if (type.name !== "F32" || bytes > 4 * MOST_FACTORS) {
    throw new Problem(
      "invalid",
      `${path}: tensor 'rope_freqs.weight' is ${type.name} and takes ${bytes} bytes, F32 of one head is expected`,
    );
  }
  const words = withFile(path, (file) => file.read(offset, bytes, "tensor 'rope_freqs.weight'"));
  return [...new Float32Array(words.buffer)];
}

/** Throws Problem naming a tensor whose type cannot be used, or whose rows do not divide into heads. */
export function checkUsable(tensors: ReadonlyMap<string, GgufNamed>, config: GgufModelConfig): void {
  for (const { tensor, headRows } of tensors.values()) {
    const { path, name, type } = tensor;
    if (!type.held) {
      throw new Problem(
        "invalid",
        `${path}: tensor ${quoted(name)} is of type ${type.name}, which cannot be used`,
        {
          remedy: `take a file whose weights are of the types ${usableGgmlTypes.join(", ")}`,
        },
      );
    }
    if (headRows > 0 && (!Number.isInteger(headRows) || headRows % 2 !== 0)) {
      const heads = `${config.num_attention_heads} and ${config.num_key_value_heads}`;
      throw new Problem(
        "invalid",
        `${path}: the rows of tensor ${quoted(name)} do not divide into the ${heads} heads that the metadata names`,
      );
    }
  }
}
