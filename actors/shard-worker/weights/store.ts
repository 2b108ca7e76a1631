/** The models on this disk, wherever they came from: listed, described, removed. */
import { lstat, readlink, rm, stat } from "node:fs/promises";
import { resolve as absolute, basename, dirname, join } from "node:path";
import { Problem } from "#protocol/problem";
import { ifMissing, repositoryFolder, repositoryOf, snapshots } from "./hub-cache.ts";
import { firstParts, quantisationInName } from "./hub-files.ts";
import { modelIn, namesIn, readJsonFile } from "./store-folder.ts";
import type { Places } from "./store-places.ts";

export interface StoredModel {
  /** What `exo run` takes: an alias where there is one. */
  readonly name: string;
  /** `owner/name`, where it came from the hub. */
  readonly repository?: string;
  /** A folder with config.json, or a `.gguf` file. */
  readonly path: string;
  readonly format: "safetensors" | "gguf";
  /** Bytes of all its files. */
  readonly bytes: number;
  /** Seconds since 1970 of its newest file. */
  readonly modifiedSeconds: number;
  /** `4-bit, group 64`, `bfloat16`, `Q4_K_M`; what the config or the name says, without opening the weights. */
  readonly quantisation: string;
  /** `model_type`, where there is a config. */
  readonly architecture?: string;
  /** False where exo did not put it and will not delete it. */
  readonly removable: boolean;
}

/** Every complete model, by name. */
export async function list(places: Places): Promise<readonly StoredModel[]> {
  const found: StoredModel[] = [];
  for (const folder of places.hubFolders) found.push(...(await inHub(folder, places)));
  for (const folder of places.modelFolders) found.push(...(await inFolder(folder, true)));
  for (const folder of places.extraModelFolders) found.push(...(await inFolder(folder, false)));
  const byPath = new Map(found.map((model) => [model.path, model]));
  return [...byPath.values()].sort((a, b) => a.name.localeCompare(b.name));
}

/**
 * Deletes a model's files, and of a hub cache those blobs that no other snapshot of the repository uses. Throws Problem
 * forbidden for what exo did not put there.
 */
export async function remove(model: StoredModel, places: Places): Promise<void> {
  if (!model.removable) {
    throw new Problem("forbidden", `${model.name} is part of the source build at ${model.path}`, {
      remedy: "Delete that folder yourself if you mean to.",
    });
  }
  if (model.repository === undefined) return await rm(model.path, { recursive: true });
  for (const hubFolder of places.hubFolders) {
    const folder = repositoryFolder(hubFolder, model.repository);
    if (model.path.startsWith(`${folder}/`)) await removeFromCache(folder, model);
  }
}

async function inHub(hubFolder: string, { aliases }: Places): Promise<readonly StoredModel[]> {
  const found: StoredModel[] = [];
  for (const entry of await namesIn(hubFolder)) {
    const repository = repositoryOf(entry);
    if (repository === undefined) continue;
    const name = aliases.find(({ repositories }) => repositories.includes(repository))?.name ?? repository;
    for (const snapshot of await snapshots(join(hubFolder, entry))) {
      const models = await inSnapshot(snapshot, name);
      found.push(...models.map((model) => ({ ...model, repository, removable: true })));
      if (models.length > 0) break;
    }
  }
  return found;
}

type Described = Omit<StoredModel, "removable" | "repository">;

/** One model per folder of safetensors; else one per GGUF file, told apart by file where there are several. */
async function inSnapshot(folder: string, name: string): Promise<readonly Described[]> {
  const path = await modelIn(folder);
  if (path === folder) return [await described(path, name)];
  const all = firstParts(await namesIn(folder));
  const complete: Described[] = [];
  for (const file of all) {
    const gguf = await modelIn(folder, file);
    if (gguf !== undefined) complete.push(await described(gguf, all.length === 1 ? name : `${name}:${file}`));
  }
  return complete;
}

/** `<name>/`, `<owner>/<name>/` and `<name>.gguf` in a folder of models. */
async function inFolder(folder: string, removable: boolean, prefix = ""): Promise<readonly StoredModel[]> {
  const found: StoredModel[] = [];
  for (const entry of await namesIn(folder)) {
    if (entry === "hub" || entry.startsWith(".")) continue;
    const path = join(folder, entry);
    const isFolder = (await stat(path).catch(ifMissing))?.isDirectory() ?? false;
    if (!isFolder && entry.endsWith(".gguf") && prefix === "") {
      found.push({ ...(await described(path, basename(entry, ".gguf"))), removable });
    }
    if (!isFolder) continue;
    const models = await inSnapshot(path, `${prefix}${entry}`);
    found.push(...models.map((model) => ({ ...model, removable })));
    if (models.length === 0 && prefix === "") found.push(...(await inFolder(path, removable, `${entry}/`)));
  }
  return found;
}

async function described(path: string, name: string): Promise<Described> {
  const isGguf = path.endsWith(".gguf");
  const files = isGguf ? [basename(path)] : await namesIn(path);
  let bytes = 0;
  let modifiedSeconds = 0;
  for (const file of files) {
    const found = await stat(join(isGguf ? dirname(path) : path, file)).catch(ifMissing);
    if (!found?.isFile()) continue;
    bytes += found.size;
    modifiedSeconds = Math.max(modifiedSeconds, Math.floor(found.mtimeMs / 1000));
  }
  const config = isGguf ? undefined : await readJsonFile(join(path, "config.json"));
  const architecture = config?.model_type;
  return {
    name,
    path,
    format: isGguf ? "gguf" : "safetensors",
    bytes,
    modifiedSeconds,
    quantisation: isGguf ? (quantisationInName(path)?.toUpperCase() ?? "GGUF") : quantisationOf(config ?? {}),
    ...(typeof architecture === "string" && { architecture }),
  };
}

/** MLX writes `quantization`, transformers `quantization_config`; else the element type. */
export function quantisationOf(config: Readonly<Record<string, unknown>>): string {
  const said = fields(config.quantization) ?? fields(config.quantization_config);
  if (said !== undefined) {
    const { mode, quant_method, bits, group_size } = said;
    const kind =
      typeof mode === "string" && mode !== "affine"
        ? mode
        : typeof bits === "number"
          ? `${bits}-bit`
          : quant_method;
    return typeof group_size === "number" ? `${kind}, group ${group_size}` : String(kind);
  }
  const type =
    config.dtype ??
    config.torch_dtype ??
    fields(config.text_config)?.dtype ??
    fields(config.text_config)?.torch_dtype;
  return typeof type === "string" ? type : "unknown";
}

const fields = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  typeof value === "object" && value !== null ? { ...value } : undefined;

async function removeFromCache(folder: string, { path, format }: StoredModel): Promise<void> {
  const roots = (await namesIn(join(folder, "snapshots"))).map((commit) => join(folder, "snapshots", commit));
  for (const root of roots) {
    if (format === "safetensors") await rm(root, { recursive: true, force: true });
    else await rm(join(root, basename(path)), { force: true });
  }
  const used = new Set<string>();
  for (const root of roots) for (const blob of await blobsUsed(root)) used.add(blob);
  if (used.size === 0) return await rm(folder, { recursive: true, force: true });
  for (const name of await namesIn(join(folder, "blobs"))) {
    const blob = join(folder, "blobs", name);
    if (!used.has(blob)) await rm(blob, { force: true });
  }
}

async function blobsUsed(root: string): Promise<readonly string[]> {
  const used: string[] = [];
  for (const name of await namesIn(root)) {
    const path = join(root, name);
    const found = await lstat(path).catch(ifMissing);
    if (found?.isSymbolicLink()) used.push(absolute(dirname(path), await readlink(path)));
    else if (found?.isDirectory()) used.push(...(await blobsUsed(path)));
    else if (found !== undefined) used.push(path);
  }
  return used;
}
