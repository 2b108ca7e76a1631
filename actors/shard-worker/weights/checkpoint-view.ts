/** What a copy of a checkpoint on another machine is compared with, remembered as long as its files are the same. */
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { ModelShape } from "#protocol/model-shape";
import { Problem } from "#protocol/problem";
import { readCheckpointParts } from "./checkpoint.ts";
import { type CheckpointDigest, checkpointDigest, headDigest } from "./checkpoint-digest.ts";
import type { CheckpointFacts } from "./checkpoint-facts.ts";

export interface CheckpointView {
  readonly facts: CheckpointFacts;
  readonly shape: ModelShape;
  readonly digest: CheckpointDigest;
}

/** Models that one machine is asked for in turn. */
const REMEMBERED_MAX = 64;

/** By path, with what its files were then. */
const remembered = new Map<string, { readonly files: string; readonly view: Promise<CheckpointView> }>();

/**
 * Reads all headers and at most 8 MiB of the weights, once for each state of the files; those who ask meanwhile wait for the same.
 * Throws Problem as `readCheckpoint`.
 */
export async function viewCheckpoint(path: string): Promise<CheckpointView> {
  const files = await stateOf(path);
  const known = remembered.get(path);
  if (known?.files === files) return await known.view;
  const view = read(path);
  remembered.set(path, { files, view });
  for (const oldest of [...remembered.keys()].slice(0, -REMEMBERED_MAX)) remembered.delete(oldest);
  // What changed while it was read is read again by the next who asks.
  const forget = () => remembered.get(path)?.view === view && remembered.delete(path);
  try {
    const made = await view;
    if ((await stateOf(path)) !== files) forget();
    return made;
  } catch (error) {
    forget();
    throw error;
  }
}

/** What is known of a checkpoint without its weights; nothing is remembered. Throws Problem as `readCheckpoint`. */
export async function viewHeads(path: string): Promise<Omit<CheckpointDigest["parts"], "weights">> {
  const { header, tensors } = readCheckpointParts(path);
  return await headDigest(header, tensors);
}

async function read(path: string): Promise<CheckpointView> {
  const { header, shape, tensors } = readCheckpointParts(path);
  return { facts: header.facts, shape, digest: await checkpointDigest(header, tensors) };
}

/** Names, sizes, times and places of all files that can be part of it. */
async function stateOf(path: string): Promise<string> {
  try {
    const isFolder = (await stat(path)).isDirectory();
    const folder = isFolder ? path : dirname(path);
    const names = isFolder ? await readdir(path) : await partsOf(path);
    const states = names.sort().map(async (name) => {
      const found = await stat(join(folder, name), { bigint: true }).catch(() => undefined);
      return found && `${name} ${found.dev} ${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}`;
    });
    return (await Promise.all(states)).join("\n");
  } catch (cause) {
    throw new Problem("notFound", `${path} cannot be read`, {
      remedy: "give a model's folder or a .gguf file",
      cause,
    });
  }
}

/** A GGUF file, and the others where it is one of several. */
async function partsOf(path: string): Promise<string[]> {
  const name = basename(path);
  const stem = /^(.*-)\d+-of-\d+\.gguf$/.exec(name)?.[1];
  if (stem === undefined) return [name];
  return (await readdir(dirname(path))).filter((each) => each.startsWith(stem) && each.endsWith(".gguf"));
}
