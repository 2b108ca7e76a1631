/**
 * Hugging Face's cache on disk, which other tools fill and read as well:
 * `models--owner--name/{blobs/<hash>, snapshots/<commit>/<path>, refs/<revision>}`, snapshots pointing into blobs.
 * Layout: https://huggingface.co/docs/huggingface_hub/guides/manage-cache.
 */
import { accessSync, constants } from "node:fs";
import {
  copyFile,
  mkdir,
  readdir,
  readFile,
  rename,
  stat,
  symlink,
  unlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import type { HubFile } from "./hub.ts";

/** What the environment says of where hub files are. */
export interface HubPlaces {
  readonly hfHubCache?: string;
  readonly hfHome?: string;
  /** XDG_CACHE_HOME, or ~/.cache. */
  readonly userCache: string;
  readonly exoHome: string;
}

/**
 * Caches to read, the first being the one that is written to. A cache that the user has set or already has is shared
 * with other tools; only where there is none, or none that we may write, do files go to exo's own folder, in the same
 * layout.
 */
export function hubFolders({
  hfHubCache,
  hfHome,
  userCache,
  exoHome,
}: HubPlaces): readonly [string, ...string[]] {
  const own = join(exoHome, "models", "hub");
  const set = hfHubCache ?? (hfHome === undefined ? undefined : join(hfHome, "hub"));
  if (set !== undefined) return [set, own];
  const usual = join(userCache, "huggingface", "hub");
  return isWritable(usual) ? [usual, own] : [own, usual];
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** A repository's place in a cache. */
export const repositoryFolder = (hubFolder: string, repository: string): string =>
  join(hubFolder, `models--${repository.replaceAll("/", "--")}`);

/** The repository whose folder this is; undefined for anything else in a cache. */
export function repositoryOf(folderName: string): string | undefined {
  const parts = folderName.split("--");
  return parts[0] === "models" && parts.length === 3 ? parts.slice(1).join("/") : undefined;
}

export const blobPath = (folder: string, file: HubFile): string => join(folder, "blobs", file.hash.hex);
/** Ours alone: other tools lock their `.incomplete` files by means that we do not share. */
export const partialPath = (folder: string, file: HubFile): string =>
  `${blobPath(folder, file)}.exo-incomplete`;
export const snapshotPath = (folder: string, commit: string): string => join(folder, "snapshots", commit);

/** Size of a file, its links followed; undefined if there is none. */
export async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const found = await stat(path);
    return found.isFile() ? found.size : undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export const isMissing = (error: unknown): boolean =>
  error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");

/** Whether the file's content is already in this cache. A blob is named by its hash and moved there only once verified. */
export async function isHeld(folder: string, commit: string, file: HubFile): Promise<boolean> {
  if ((await sizeOf(blobPath(folder, file))) === file.bytes) return true;
  return (await sizeOf(join(snapshotPath(folder, commit), file.path))) === file.bytes;
}

/** Makes the snapshot: a link to each blob, or the file itself where the disk knows no links; then the revision's name. */
export async function publish(
  folder: string,
  snapshot: { readonly commit: string; readonly revision: string; readonly files: readonly HubFile[] },
  link: (target: string, path: string) => Promise<void> = symlink,
): Promise<void> {
  const root = snapshotPath(folder, snapshot.commit);
  const moved = new Map<string, string>();
  for (const file of snapshot.files) {
    const path = join(root, file.path);
    if ((await sizeOf(path)) === file.bytes) continue;
    await mkdir(dirname(path), { recursive: true });
    await unlink(path).catch(ifMissing);
    const blob = blobPath(folder, file);
    const before = moved.get(blob);
    if (before !== undefined) await copyFile(before, path);
    else if (!(await linked(relative(dirname(path), blob), path, link))) {
      await rename(blob, path);
      moved.set(blob, path);
    }
  }
  const ref = join(folder, "refs", snapshot.revision);
  await mkdir(dirname(ref), { recursive: true });
  await writeFile(ref, snapshot.commit);
}

/** False where the disk (exFAT) or the system (Windows without the right to) has no links. */
async function linked(
  target: string,
  path: string,
  link: (target: string, path: string) => Promise<void>,
): Promise<boolean> {
  try {
    await link(target, path);
    return true;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"].includes(code)) return false;
    throw error;
  }
}

export function ifMissing(error: unknown): undefined {
  if (isMissing(error)) return undefined;
  throw error;
}

/** Snapshots of a repository that may be used: the asked revision's, or newest first where none was asked. */
export async function snapshots(folder: string, revision?: string): Promise<readonly string[]> {
  const root = join(folder, "snapshots");
  const commits = await readdir(root).catch(() => [] as string[]);
  const named = await readFile(join(folder, "refs", revision ?? "main"), "utf8").catch(() => undefined);
  const wanted = named?.trim() ?? revision;
  const asked = commits.filter((commit) => commit === wanted).map((commit) => join(root, commit));
  if (revision !== undefined) return asked;
  const dated = await Promise.all(
    commits.map(async (commit) => ({
      path: join(root, commit),
      at: (await stat(join(root, commit))).mtimeMs,
    })),
  );
  const rest = dated.sort((a, b) => b.at - a.at).map(({ path }) => path);
  return [...asked, ...rest.filter((path) => !asked.includes(path))];
}
