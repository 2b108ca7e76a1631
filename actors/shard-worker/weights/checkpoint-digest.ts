/** By what copies of a checkpoint on several machines are compared: names, types and shapes of all tensors, config, tokenizer. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { CheckpointHeader } from "./checkpoint.ts";

/** SHA-256 in hex; no weights are read for it. */
export interface CheckpointDigest {
  readonly whole: string;
  /** By which a difference is told. */
  readonly parts: Readonly<Record<"config" | "tensors" | "tokenizer", string>>;
}

/** `tensors`: a line for each with what its header says, in any order. */
export function checkpointDigest(
  { path, config, generation, tokenizer }: CheckpointHeader,
  tensors: readonly string[],
): CheckpointDigest {
  const parts = {
    config: hashOf([inOrder({ config, generation })]),
    tensors: hashOf([...tensors].sort()),
    tokenizer: tokenizer ? hashOf([inOrder(tokenizer)]) : folderTokenizer(path),
  };
  return { whole: hashOf([parts.config, parts.tensors, parts.tokenizer]), parts };
}

/** Whatever decides which tokens a text has, and how a conversation is put. */
const TOKENIZER_FILES = [
  "added_tokens.json",
  "chat_template.jinja",
  "chat_template.json",
  "merges.txt",
  "special_tokens_map.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "vocab.json",
];

function folderTokenizer(folder: string): string {
  const hash = new Bun.CryptoHasher("sha256");
  for (const name of TOKENIZER_FILES) {
    const path = join(folder, name);
    if (!existsSync(path) || !statSync(path).isFile()) continue;
    hash.update(`${name}\n`).update(readFileSync(path));
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
