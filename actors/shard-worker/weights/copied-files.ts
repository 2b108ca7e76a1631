/** Which files another machine needs of a checkpoint, and how much of each of them in any case. */
import { stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { CopiedFile } from "#protocol/copying";
import { readCheckpointParts } from "./checkpoint.ts";
import { TOKENIZER_FILES } from "./checkpoint-digest.ts";
import { withFile } from "./file-bytes.ts";
import { readGgufParts } from "./gguf-parts.ts";
import { sizeOf } from "./hub-cache.ts";
import { hashOfHead } from "./part-hash.ts";
import { readSafetensorsFolder } from "./safetensors-folder.ts";

/** Beside the weights; those that are there. */
const OTHER_FILES = [
  "config.json",
  "generation_config.json",
  "model.safetensors.index.json",
  ...TOKENIZER_FILES,
];

/** The folder they lie in, and each with its size. Throws Problem where it is no sound checkpoint. */
export async function copiedFiles(
  path: string,
): Promise<{ readonly folder: string; readonly files: readonly CopiedFile[] }> {
  // What cannot be loaded here is not given on.
  readCheckpointParts(path);
  const isFolder = (await stat(path)).isDirectory();
  const folder = isFolder ? path : dirname(path);
  const files = isFolder ? [...(await others(folder)), ...(await safetensors(folder))] : await gguf(path);
  return { folder, files };
}

async function others(folder: string): Promise<readonly CopiedFile[]> {
  const found = OTHER_FILES.map(async (name) => {
    const bytes = await sizeOf(join(folder, name));
    return bytes === undefined ? [] : [await described(join(folder, name), bytes)];
  });
  return (await Promise.all(found)).flat();
}

async function safetensors(folder: string): Promise<readonly CopiedFile[]> {
  const paths = new Set([...readSafetensorsFolder(folder).values()].map(({ path }) => path));
  return await Promise.all([...paths].map((path) => described(path, headerBytes(path))));
}

/** A file of safetensors begins with the length of its header, which follows. */
const LENGTH_BYTES = 8;

const headerBytes = (path: string): number =>
  withFile(path, (file) => {
    const length = file.read(0, LENGTH_BYTES, "the length of its header");
    return LENGTH_BYTES + Number(new DataView(length.buffer).getBigUint64(0, true));
  });

/** Whatever stands before the first tensor. */
async function gguf(path: string): Promise<readonly CopiedFile[]> {
  const heads = new Map([[path, Number.POSITIVE_INFINITY]]);
  for (const { path: own, offset } of readGgufParts(path).tensors)
    heads.set(own, Math.min(offset, heads.get(own) ?? Number.POSITIVE_INFINITY));
  return await Promise.all([...heads].map(([own, head]) => described(own, head)));
}

async function described(path: string, headBytes: number): Promise<CopiedFile> {
  const { size: bytes } = await stat(path);
  const head = Math.min(headBytes, bytes);
  return { name: basename(path), bytes, headBytes: head, headHash: await hashOfHead(path, head) };
}
