/** By what copies of a checkpoint on several machines are compared: config, tokenizer, and the tensors with a sample of their weights. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { DigestParts } from "#protocol/copying";
import type { CheckpointHeader } from "./checkpoint.ts";
import { ifMissing } from "./hub-cache.ts";
import { type PlacedTensor, sampledHash } from "./weight-samples.ts";

/** SHA-256 in hex. */
export interface CheckpointDigest {
  readonly whole: string;
  /** By which a difference is told. */
  readonly parts: DigestParts;
}

/** A tensor with what its header says. */
export interface DescribedTensor extends PlacedTensor {
  readonly line: string;
}

/** `tensors` in any order. Throws Problem where weights cannot be read. */
export async function checkpointDigest(
  header: CheckpointHeader,
  tensors: readonly DescribedTensor[],
): Promise<CheckpointDigest> {
  const parts = { ...(await headDigest(header, tensors)), weights: await sampledHash(tensors) };
  return { whole: wholeDigest(parts), parts };
}

/** Of what who holds any part of the model has of it. */
export const headDigest = async (
  { path, config, generation, tokenizer }: CheckpointHeader,
  tensors: readonly DescribedTensor[],
): Promise<Omit<DigestParts, "weights">> => ({
  config: hashOf([inOrder({ config, generation })]),
  tensors: hashOf(tensors.map(({ line }) => line).sort()),
  tokenizer: tokenizer ? hashOf([inOrder(tokenizer)]) : await folderTokenizer(path),
});

export const wholeDigest = ({ config, tensors, tokenizer, weights }: DigestParts): string =>
  hashOf([config, tensors, tokenizer, weights]);

/** Whatever decides which tokens a text has, and how a conversation is put. */
export const TOKENIZER_FILES = [
  "added_tokens.json",
  "chat_template.jinja",
  "chat_template.json",
  "merges.txt",
  "special_tokens_map.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "vocab.json",
];

async function folderTokenizer(folder: string): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  for (const name of TOKENIZER_FILES) {
    const content = await readFile(join(folder, name)).catch(ifMissing);
    if (content) hash.update(`${name}\n`).update(content);
  }
  return hash.digest("hex");
}

function hashOf(lines: readonly string[]): string {
  const hash = new Bun.CryptoHasher("sha256");
  for (const line of lines) hash.update(`${line}\n`);
  return hash.digest("hex");
}

/** JSON whose keys are in one order, whatever order their file has. */
const inOrder = (value: unknown): string =>
  JSON.stringify(value, (_, each: unknown) =>
    typeof each === "object" && each !== null && !Array.isArray(each) && !ArrayBuffer.isView(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : ArrayBuffer.isView(each)
        ? Array.from(each as Float32Array)
        : each,
  );
