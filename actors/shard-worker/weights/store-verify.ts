/** Whether a stored model's files are still what the hub said they were: in its cache a file's name is its hash. */
import { realpath, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { hasherOf } from "./download-partial.ts";
import { hashOf } from "./hub.ts";
import { sizeOf } from "./hub-cache.ts";
import type { StoredModel } from "./store.ts";
import { namesIn } from "./store-folder.ts";

export interface Verification {
  readonly verified: readonly string[];
  /** Removed from the cache, so that the next pull fetches them anew. */
  readonly damaged: readonly string[];
  /** Not from a hub cache with links: there is nothing to compare them with. */
  readonly unknown: readonly string[];
}

/** Reads every file of the model; `onFile` is called before each. */
export async function verify(model: StoredModel, onFile?: (file: string) => void): Promise<Verification> {
  const isGguf = model.format === "gguf";
  const folder = isGguf ? dirname(model.path) : model.path;
  const verified: string[] = [];
  const damaged: string[] = [];
  const unknown: string[] = [];
  for (const file of isGguf ? [basename(model.path)] : await namesIn(folder)) {
    const size = await sizeOf(join(folder, file));
    if (size === undefined) continue;
    onFile?.(file);
    const blob = await realpath(join(folder, file));
    const hash = hashOf(basename(blob));
    if (hash === undefined) unknown.push(file);
    else if ((await digestOf(blob, hasherOf(size, hash))) === hash.hex) verified.push(file);
    else {
      damaged.push(file);
      await unlink(blob);
    }
  }
  return { verified, damaged, unknown };
}

async function digestOf(path: string, hasher: Bun.CryptoHasher): Promise<string> {
  for await (const chunk of Bun.file(path).stream()) hasher.update(chunk);
  return hasher.digest("hex");
}
