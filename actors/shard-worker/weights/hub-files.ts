/** Which of a repository's files a model needs: its config, tokenizer and templates, and one set of weights. */
import { Problem } from "#protocol/problem";
import type { ListedFile } from "./hub.ts";

const INDEX = "model.safetensors.index.json";

/** Small files beside the weights; Hugging Face's own names. */
const DESCRIPTION = new RegExp(
  `^(${[
    "config\\.json",
    "generation_config\\.json",
    "tokenizer[^/]*\\.(json|model|txt|jinja)",
    "special_tokens_map\\.json",
    "added_tokens\\.json",
    "vocab\\.(json|txt)",
    "merges\\.txt",
    "chat_template[^/]*\\.(json|jinja)",
    "additional_chat_templates/[^/]+\\.jinja",
    "(pre)?processor_config\\.json",
    "preprocessor_config\\.json",
    "model\\.safetensors\\.index\\.json",
  ].join("|")})$`,
);

/** Order in which a repository of many GGUF files is read where the user names none: quality for its size. */
const GGUF_PREFERENCE = ["q4_k_m", "q4_1", "q4_0", "q5_k_m", "q6_k", "q8_0", "bf16", "f16", "f32"] as const;

/** One repository's model: either files of a folder, or one GGUF (perhaps in several parts). */
export interface Wanted {
  /** Config, tokenizer, templates and the index: fetched first, since they may end it. */
  readonly description: readonly ListedFile[];
  readonly weights: readonly ListedFile[];
  /** The GGUF file to load, where that is what the weights are. */
  readonly gguf?: string;
}

/**
 * Chooses by the list alone; with an index, `narrow` then keeps what it names. `asked` is a GGUF file's name, or part
 * of one (`Q4_K_M`). Pickles, ONNX, TensorFlow and duplicate precisions are never chosen.
 */
export function wanted(repository: string, files: readonly ListedFile[], asked?: string): Wanted {
  if (asked !== undefined) return ggufOf(files, namedGguf(repository, files, asked));
  const safetensors = files.filter(
    ({ path }) => /^[^/]+\.safetensors$/.test(path) && !/^(consolidated|adapter)/.test(path),
  );
  const named = safetensors.filter(({ path }) => path.startsWith("model"));
  const hasIndex = files.some(({ path }) => path === INDEX);
  if (safetensors.length > 0 || hasIndex) {
    const description = files.filter(({ path }) => DESCRIPTION.test(path));
    const weights = hasIndex
      ? files.filter(({ path }) => path.endsWith(".safetensors"))
      : named.length > 0
        ? named
        : safetensors;
    return { description: description.map(safe), weights: weights.map(safe) };
  }
  return ggufOf(files, preferredGguf(repository, files));
}

/** The weights that an index names, in the order of the list; throws Problem naming a file that is not there. */
export function narrow(
  repository: string,
  weights: readonly ListedFile[],
  index: unknown,
): readonly ListedFile[] {
  const map: unknown =
    typeof index === "object" && index !== null && "weight_map" in index ? index.weight_map : undefined;
  if (typeof map !== "object" || map === null) {
    throw new Problem("invalid", `${INDEX} of ${repository} has no weight_map`, {
      remedy: "Tell the repository's owner.",
    });
  }
  const named = new Set(Object.values(map));
  const present = new Set(weights.map(({ path }) => path));
  for (const path of named) {
    if (typeof path === "string" && present.has(path)) continue;
    throw new Problem(
      "invalid",
      `${INDEX} of ${repository} names ${JSON.stringify(path)}, which the repository does not have`,
      {
        remedy: "Tell the repository's owner, or choose another conversion of the model.",
      },
    );
  }
  return weights.filter(({ path }) => named.has(path));
}

export const indexOf = ({ description }: Wanted): ListedFile | undefined =>
  description.find(({ path }) => path === INDEX);

/** Refuses a path that would leave the folder it is joined to, on any system. */
export function safe(file: ListedFile): ListedFile {
  const { path } = file;
  const parts = path.split("/");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are exactly what is refused.
  if (/[\\:\u0000-\u001f]/.test(path) || parts.some((part) => part === "" || part === "." || part === "..")) {
    throw new Problem(
      "invalid",
      `the repository lists a file named ${JSON.stringify(path)}, which is not a safe path`,
      {
        remedy: "Do not use this repository.",
      },
    );
  }
  return file;
}

function ggufOf(files: readonly ListedFile[], chosen: string): Wanted {
  const parts = /^(.*)-\d{5}-of-(\d{5})\.gguf$/.exec(chosen);
  const weights = files.filter(
    ({ path }) =>
      path === chosen || (parts && path.startsWith(`${parts[1]}-`) && path.endsWith(`-of-${parts[2]}.gguf`)),
  );
  return { description: [], weights: weights.map(safe), gguf: chosen };
}

function namedGguf(repository: string, files: readonly ListedFile[], asked: string): string {
  const all = firstParts(files.map(({ path }) => path));
  const found = chooseGguf(all, asked);
  if (found !== undefined) return found;
  throw new Problem("notFound", `${repository} has no GGUF file ${asked}`, {
    remedy: all.length === 0 ? "It has no GGUF file at all." : `It has: ${all.slice(0, 12).join(", ")}.`,
  });
}

function preferredGguf(repository: string, files: readonly ListedFile[]): string {
  const all = firstParts(files.map(({ path }) => path));
  const found = chooseGguf(all);
  if (found !== undefined) return found;
  if (all.length > 1) {
    throw new Problem("invalid", `${repository} has several GGUF files and none was named`, {
      remedy: `Name one: ${repository}:${all[0]}. There are ${all.slice(0, 12).join(", ")}.`,
    });
  }
  throw new Problem("invalid", `${repository} has neither safetensors nor GGUF weights`, {
    remedy: "Look for a conversion of it, for example at mlx-community.",
  });
}

/** The GGUF file that `asked` names (whole, in any case, or by its quantisation), or the usual choice of several. */
export function chooseGguf(paths: readonly string[], asked?: string): string | undefined {
  const all = firstParts(paths);
  if (asked === undefined) {
    if (all.length < 2) return all[0];
    const preferred = GGUF_PREFERENCE.map((quantisation) =>
      all.find((path) => quantisationInName(path) === quantisation),
    );
    return preferred.find((path) => path !== undefined);
  }
  const low = asked.toLowerCase();
  return (
    all.find((path) => path === asked) ??
    all.find((path) => path.toLowerCase() === low) ??
    all.find((path) => quantisationInName(path) === low)
  );
}

/** GGUF files, later parts and vision projectors left out. */
export const firstParts = (paths: readonly string[]): string[] =>
  paths
    .filter((path) => path.endsWith(".gguf") && !/-0*([2-9]|[1-9]\d+)-of-\d+\.gguf$/.test(path))
    .filter((path) => !/mmproj/i.test(path));

/** `q4_k_m` of `Model.Q4_K_M.gguf` or `model-q4_k_m-00001-of-00002.gguf`; lower case. */
export const quantisationInName = (path: string): string | undefined =>
  /[.\-_]((?:i?q\d(?:_[a-z0-9]+)*)|bf16|f16|f32|mxfp4)(?:-\d{5}-of-\d{5})?\.gguf$/i
    .exec(path)?.[1]
    ?.toLowerCase();
