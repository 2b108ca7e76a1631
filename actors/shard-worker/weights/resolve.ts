/** What a user means by a model's name, and whether it is on this disk. Asks no network. */
import { stat } from "node:fs/promises";
import { resolve as absolute, basename, join } from "node:path";
import { Problem } from "#protocol/problem";
import { ifMissing, repositoryFolder, snapshots } from "./hub-cache.ts";
import { nearest } from "./resolve-nearest.ts";
import { list } from "./store.ts";
import { modelIn, namesIn } from "./store-folder.ts";
import type { Alias, Places } from "./store-places.ts";

/** A model on the hub. */
export interface Remote {
  readonly type: "remote";
  readonly name: string;
  readonly reference: string;
  readonly repositories: readonly [string, ...string[]];
  readonly revision?: string;
  /** A GGUF file's name, or its quantisation. */
  readonly file?: string;
}

/** A model on this disk. */
export interface Local {
  readonly type: "local";
  /** As shown to users and clients. */
  readonly name: string;
  /** What resolves to the same model from any folder: an alias, a repository, or an absolute path. */
  readonly reference: string;
  /** A folder with config.json, or a `.gguf` file. */
  readonly path: string;
  /** Where a newer revision would come from; absent for what did not come from a hub. */
  readonly remote?: Remote;
}

/**
 * In this order: a path (`./x`, `/x`, `~/x`, an existing folder with config.json, or a `.gguf` file), an alias, a
 * repository (`owner/name[@revision][:file.gguf or quantisation]`), the last part of a stored repository's name. Names
 * match exactly, then in any case, then without `:latest`, then without regard to separators (`llama3.1:8b`). Throws
 * Problem notFound (with the nearest name) or invalid (a name that means several models).
 */
export async function resolve(asked: string, places: Places): Promise<Local | Remote> {
  const name = asked.trim().replace(/^(https?:\/\/)?(huggingface\.co|hf\.co)\//, "");
  if (name === "")
    throw new Problem("invalid", "no model was named", { remedy: "`exo ls` lists what is on this disk." });
  if (
    name.length > NAME_MAX ||
    name.includes("\0") ||
    name.split(/[/\\]/).some((part) => part.length > PART_MAX)
  )
    throw new Problem("notFound", "that is no model's name: no path is that long, nor holds a NUL", {
      param: "model",
    });
  const byPath = await atPath(name, places);
  if (byPath !== undefined) return byPath;
  const plain = name.replace(/:latest$/i, "");
  const alias = aliasOf(name, plain, places.aliases);
  if (alias !== undefined) {
    const [first, ...others] = alias.repositories;
    if (first === undefined) throw new Error(`the catalogue names no repository for ${alias.name}`);
    return await orLocal(
      { type: "remote", name: alias.name, reference: alias.name, repositories: [first, ...others] },
      places,
    );
  }
  const remote = repositoryIn(plain);
  if (remote !== undefined) return await orLocal(remote, places);
  return (await stored(plain, places)) ?? unknown(asked, places);
}

/** Linux's PATH_MAX and NAME_MAX: what is longer no file system is asked for, and no message repeats. */
const NAME_MAX = 4096;
const PART_MAX = 255;

async function atPath(name: string, { cwd, home }: Places): Promise<Local | undefined> {
  const isPath = /^(\.{1,2}([/\\]|$)|[/\\~]|[A-Za-z]:[/\\])/.test(name);
  const path = absolute(cwd, name.replace(/^~(?=[/\\]|$)/, home));
  const found = await stat(path).catch(ifMissing);
  const isGguf = path.endsWith(".gguf");
  if (found?.isFile() && isGguf)
    return { type: "local", name: basename(path, ".gguf"), reference: path, path };
  if (found?.isDirectory()) return await atFolder(path, isPath);
  if (found !== undefined && isPath) throw notAModel(path, "a file, but not a .gguf file");
  // `owner/name:x.gguf` is a hub's file; any other `x.gguf` can only be meant as one on this disk.
  if (!isPath && (!isGguf || name.includes(":"))) return undefined;
  throw new Problem("notFound", `there is no file or folder ${path}`, {
    param: "model",
    remedy: "Check the path.",
  });
}

async function atFolder(path: string, isPath: boolean): Promise<Local | undefined> {
  // An explicit folder is taken as it is: the loader says which of its files are missing.
  const hasConfig = (await namesIn(path)).includes("config.json");
  const model = hasConfig ? path : isPath ? await modelIn(path) : undefined;
  if (model !== undefined) return { type: "local", name: basename(path), reference: path, path: model };
  if (isPath) throw notAModel(path, "a folder with neither config.json nor one .gguf file");
  return undefined;
}

const notAModel = (path: string, what: string): Problem =>
  new Problem("invalid", `${path} is ${what}`, {
    remedy: "Name a folder with config.json and safetensors, or a .gguf file.",
  });

function aliasOf(name: string, plain: string, aliases: readonly Alias[]): Alias | undefined {
  const spellings = (alias: Alias) => [alias.name, ...alias.aliases];
  const steps: readonly ((spelling: string) => boolean)[] = [
    (spelling) => spelling === name,
    (spelling) => spelling.toLowerCase() === name.toLowerCase(),
    (spelling) => spelling.toLowerCase() === plain.toLowerCase(),
    (spelling) => !plain.includes("/") && squeezed(spelling) === squeezed(plain),
  ];
  for (const matches of steps) {
    const found = aliases.filter((alias) => spellings(alias).some(matches));
    if (found.length > 1)
      throw ambiguous(
        name,
        found.map((alias) => alias.name),
      );
    if (found[0] !== undefined) return found[0];
  }
  return undefined;
}

const squeezed = (name: string): string => name.toLowerCase().replace(/[^a-z0-9.]/g, "");

const ambiguous = (name: string, meant: readonly string[]): Problem =>
  new Problem("invalid", `${name} may mean ${meant.slice(0, 8).join(" or ")}`, {
    remedy: "Name one of them in full.",
  });

/**
 * `owner/name[@revision][:file]`. The hub's rule for names (letters, digits, `-_.`, no `--` or `..`) is also what makes
 * them safe as folder names: https://huggingface.co/docs/huggingface_hub, validate_repo_id.
 */
function repositoryIn(name: string): Remote | undefined {
  const parts = /^([\w.-]+\/[\w.-]+)(?:@([\w./-]+))?(?::([^\\:]+))?$/.exec(name);
  const [, repository, revision, file] = parts ?? [];
  if (repository === undefined) return undefined;
  const isSound = repository
    .split("/")
    .every((part) => part.length <= 96 && !/^[.-]|[.-]$|--|\.\./.test(part));
  const isSafe = [revision, file].every(
    (path) => path?.split("/").every((part) => !/^\.{0,2}$/.test(part)) ?? true,
  );
  if (!isSound || !isSafe) {
    throw new Problem("invalid", `${JSON.stringify(name)} is not a repository name`, {
      remedy: "Repositories are written owner/name, owner/name@revision or owner/name:file.gguf.",
    });
  }
  return {
    type: "remote",
    name: file === undefined ? repository : `${repository}:${file}`,
    reference: name,
    repositories: [repository],
    ...(revision !== undefined && { revision }),
    ...(file !== undefined && { file }),
  };
}

/** The model where it already is on this disk, used in place; else the remote itself. */
async function orLocal(remote: Remote, places: Places): Promise<Local | Remote> {
  const { name, reference, repositories, revision, file } = remote;
  // A folder of our own has no revisions, so one that is asked for is not there.
  const own = revision === undefined ? [...places.modelFolders, ...places.extraModelFolders] : [];
  const names = [...new Set([name.replace(/:.*$/, ""), ...repositories])];
  for (const folder of own.flatMap((one) => names.map((inside) => join(one, inside)))) {
    const path = await modelIn(folder, file);
    if (path !== undefined) return { type: "local", name, reference, path };
  }
  for (const folder of await snapshotsOf(remote, places)) {
    const path = await modelIn(folder, file);
    if (path !== undefined) return { type: "local", name, reference, path, remote };
  }
  return remote;
}

/** Where a cache would have it, likeliest first. */
async function snapshotsOf(
  { repositories, revision }: Remote,
  { hubFolders }: Places,
): Promise<readonly string[]> {
  const caches = repositories.flatMap((one) => hubFolders.map((folder) => repositoryFolder(folder, one)));
  return (await Promise.all(caches.map((cache) => snapshots(cache, revision)))).flat();
}

/** A stored model by its own name or by the last part of its repository's. */
async function stored(name: string, places: Places): Promise<Local | undefined> {
  const all = await list(places);
  const low = name.toLowerCase();
  const steps: readonly ((full: string) => boolean)[] = [
    (full) => full === name,
    (full) => full.toLowerCase() === low,
    (full) => full.toLowerCase().endsWith(`/${low}`),
  ];
  for (const matches of steps) {
    const found = all.filter(
      (model) => matches(model.name) || (model.repository !== undefined && matches(model.repository)),
    );
    if (found.length > 1)
      throw ambiguous(
        name,
        found.map((model) => model.name),
      );
    const [only] = found;
    if (only !== undefined) return { type: "local", name: only.name, reference: only.name, path: only.path };
  }
  return undefined;
}

async function unknown(asked: string, places: Places): Promise<never> {
  throw new Problem("notFound", `there is no model called ${JSON.stringify(asked)}`, {
    param: "model",
    remedy: `${await suggestion(asked, places)}\`exo ls\` lists what is on this disk; any hub repository works as owner/name.`,
  });
}

/** `Did you mean x? `, or nothing where no known name is near. */
export async function suggestion(asked: string, places: Places): Promise<string> {
  const names = [
    ...places.aliases.flatMap(({ name, aliases, repositories }) => [name, ...aliases, ...repositories]),
    ...(await list(places)).map(({ name }) => name),
  ];
  const near = nearest(asked, names);
  return near === undefined ? "" : `Did you mean ${near}? `;
}
