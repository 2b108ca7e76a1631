/** The models of which parts are on this disk, each version of their files in a folder of its own below the models. */
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { CopiedFile } from "#protocol/copying";
import { Problem } from "#protocol/problem";
import { ifMissing } from "./hub-cache.ts";
import { readJsonFile } from "./store-folder.ts";

export interface CopiedModel {
  readonly model: string;
  /** Of the whole checkpoint, SHA-256 in hex. */
  readonly digest: string;
}

/** Where no store looks: none of it is ever taken for a whole model. */
const FOLDER = ".parts";
export const RECORD = "model.json";

/** A model of which parts are on this disk. */
export interface PartialModel extends CopiedModel {
  readonly folder: string;
  readonly files: readonly CopiedFile[];
}

export async function partialModels(models: string): Promise<readonly PartialModel[]> {
  const found: PartialModel[] = [];
  for (const entry of (await readdir(join(models, FOLDER)).catch(ifMissing)) ?? []) {
    const folder = join(models, FOLDER, entry);
    const { model, digest = entry, files } = (await readJsonFile(join(folder, RECORD))) ?? {};
    if (typeof model === "string" && typeof digest === "string" && Array.isArray(files))
      found.push({ model, digest, folder, files });
  }
  return found;
}

/** With the bytes that they take, holes left out. */
export const listPartial = async (models: string): Promise<readonly (PartialModel & { bytes: number })[]> =>
  await Promise.all(
    (await partialModels(models)).map(async (each) => ({
      ...each,
      bytes: await takenBy(join(each.folder, "files")),
    })),
  );

/** Of these very files: machines may have one model in files that are cut, or written, in different ways. */
export function folderOf(models: string, digest: string, files: readonly CopiedFile[]): string {
  checkDigest(digest);
  const layout = new Bun.CryptoHasher("sha256").update(JSON.stringify(files.map(layoutOf))).digest("hex");
  return join(models, FOLDER, `${digest}-${layout.slice(0, 16)}`);
}

/** Throws Problem for a digest that is none. */
export function checkDigest(digest: string): void {
  if (!/^[0-9a-f]{64}$/.test(digest))
    throw new Problem("invalid", "a model's digest is 64 hexadecimal digits");
}

/** Deletes other versions of that model. */
export async function removeOthers(models: string, { model, digest }: CopiedModel): Promise<void> {
  for (const each of await partialModels(models))
    if (each.model === model && each.digest !== digest)
      await rm(each.folder, { recursive: true, force: true });
}

const layoutOf = ({ name, bytes, headBytes, headHash }: CopiedFile) => [name, bytes, headBytes, headHash];

/** Of what `stat` counts in blocks. */
const BLOCK_BYTES = 512;

async function takenBy(folder: string): Promise<number> {
  const names = (await readdir(folder).catch(ifMissing)) ?? [];
  const blocks = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).blocks));
  return BLOCK_BYTES * blocks.reduce((sum, each) => sum + each, 0);
}
