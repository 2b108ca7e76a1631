/** What a folder on disk holds: a Hugging Face checkpoint, GGUF files, or nothing that can be loaded. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { isMissing, sizeOf } from "./hub-cache.ts";
import { chooseGguf } from "./hub-files.ts";

/**
 * What to load from a folder: the folder itself, or one GGUF file in it; undefined if it is incomplete, as after an
 * interrupted download. `file` is a GGUF file's name or its quantisation.
 */
export async function modelIn(folder: string, file?: string): Promise<string | undefined> {
  const names = await namesIn(folder);
  if (file === undefined && names.includes("config.json") && (await hasAllWeights(folder, names)))
    return folder;
  const gguf = chooseGguf(names, file);
  return gguf !== undefined && (await hasAllParts(folder, gguf)) ? join(folder, gguf) : undefined;
}

/** Entries of a folder, one level down for those whose name is a path; none if it does not exist. */
export async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (isMissing(error) || (error instanceof Error && "code" in error && error.code === "EACCES")) return [];
    throw error;
  }
}

async function hasAllWeights(folder: string, names: readonly string[]): Promise<boolean> {
  const named = await indexed(folder, names);
  if (named !== undefined) return await haveAll(folder, named);
  const weights = names.filter((name) => name.endsWith(".safetensors"));
  if (weights.length === 0) return false;
  const parts = weights.flatMap((name) => allParts(name, "safetensors"));
  return await haveAll(folder, [...weights, ...parts]);
}

const hasAllParts = (folder: string, gguf: string): Promise<boolean> =>
  haveAll(folder, [gguf, ...allParts(gguf, "gguf")]);

/** Every part of a set of which this is one: `model-00001-of-00003.safetensors`. */
function allParts(name: string, extension: string): string[] {
  const [, stem, count] = new RegExp(`^(.*)-\\d{5}-of-(\\d{5})\\.${extension}$`).exec(name) ?? [];
  if (stem === undefined || count === undefined) return [];
  // Five digits bound it; a real set has at most a few hundred parts.
  return Array.from(
    { length: Number(count) },
    (_, i) => `${stem}-${String(i + 1).padStart(5, "0")}-of-${count}.${extension}`,
  );
}

async function indexed(folder: string, names: readonly string[]): Promise<readonly string[] | undefined> {
  if (!names.includes("model.safetensors.index.json")) return undefined;
  const index = await readJsonFile(join(folder, "model.safetensors.index.json"));
  const map = index === undefined ? undefined : index.weight_map;
  return typeof map === "object" && map !== null ? [...new Set(Object.values(map).map(String))] : [];
}

async function haveAll(folder: string, names: readonly string[]): Promise<boolean> {
  if (names.length === 0) return false;
  for (const name of new Set(names)) if ((await sizeOf(join(folder, name))) === undefined) return false;
  return true;
}

/** A JSON object from a file; undefined if it is missing or something else. */
export async function readJsonFile(path: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, "utf8"));
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
