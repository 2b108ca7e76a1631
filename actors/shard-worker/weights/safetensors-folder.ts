/** The tensors of a Hugging Face folder: one safetensors file or many, with or without an index. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "#protocol/problem";
import { quoted } from "./file-bytes.ts";
import { readSafetensors, type StoredTensor } from "./safetensors.ts";

const INDEX = "model.safetensors.index.json";

/** Every tensor by name. Throws Problem naming a missing file, a tensor that the index promises, or one that is there twice. */
export function readSafetensorsFolder(folder: string): ReadonlyMap<string, StoredTensor> {
  const promised = readIndex(folder);
  const files = promised ? [...new Set(promised.values())].sort() : unindexed(folder);
  const tensors = new Map<string, StoredTensor>();
  for (const file of files) {
    for (const tensor of readSafetensors(join(folder, file))) {
      const other = tensors.get(tensor.name);
      if (other)
        throw new Problem(
          "invalid",
          `tensor ${quoted(tensor.name)} is both in ${other.path} and in ${tensor.path}`,
        );
      tensors.set(tensor.name, tensor);
    }
  }
  for (const [name, file] of promised ?? []) {
    const found = tensors.get(name);
    if (found?.path === join(folder, file)) continue;
    throw new Problem(
      "invalid",
      `${join(folder, INDEX)} says that tensor ${quoted(name)} is in ${file}, where it is not`,
      again,
    );
  }
  return tensors;
}

const again = { remedy: "fetch the model again" };

/** Tensor to file, by the index; undefined where there is none. */
function readIndex(folder: string): ReadonlyMap<string, string> | undefined {
  const path = join(folder, INDEX);
  if (!existsSync(path)) return undefined;
  const places = placesOf(path);
  for (const [name, file] of places) {
    if (typeof file !== "string" || !/^[^/\\]+\.safetensors$/.test(file)) {
      throw new Problem(
        "invalid",
        `${path} puts tensor ${quoted(name)} in ${quoted(file)}, which is no file of this folder`,
      );
    }
    if (!existsSync(join(folder, file))) {
      throw new Problem(
        "notFound",
        `${path} names ${file} (for tensor ${quoted(name)}), which is missing`,
        again,
      );
    }
  }
  return new Map(places as [string, string][]);
}

function placesOf(path: string): readonly [string, unknown][] {
  let index: unknown;
  try {
    index = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new Problem(
      "invalid",
      `${path} is not JSON: ${cause instanceof Error ? cause.message : cause}`,
      again,
    );
  }
  const map =
    typeof index === "object" && index !== null && "weight_map" in index ? index.weight_map : undefined;
  if (typeof map !== "object" || map === null || Array.isArray(map)) {
    throw new Problem("invalid", `${path} lacks 'weight_map'`, again);
  }
  return Object.entries(map);
}

function unindexed(folder: string): readonly string[] {
  const files = readdirSync(folder)
    .filter((name) => /^model.*\.safetensors$/.test(name))
    .sort();
  if (files.length === 0) {
    throw new Problem("notFound", `${folder} holds no model*.safetensors`, {
      remedy: "give a folder with safetensors weights, or a .gguf file",
    });
  }
  for (const file of files) {
    const total = Number(/-of-(\d+)\.safetensors$/.exec(file)?.[1] ?? 0);
    for (let part = 1; part <= Math.min(total, MOST_PARTS); part++) {
      const sibling = file.replace(/\d+(?=-of-)/, (number) => String(part).padStart(number.length, "0"));
      if (!files.includes(sibling))
        throw new Problem("notFound", `${join(folder, sibling)} is missing, a part of the model`, again);
    }
  }
  return files;
}

/** More parts than any model has: a file name must not make us look for a billion others. */
const MOST_PARTS = 10_000;
