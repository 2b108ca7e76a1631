/** A model by its name: found on this disk, or fetched from the hub and then found there. */
import { readFile, statfs } from "node:fs/promises";
import { join } from "node:path";
import { Problem } from "#protocol/problem";
import { type Download, type DownloadPorts, downloadAll } from "./download.ts";
import { locked } from "./download-lock.ts";
import { completed, type HubFile, type HubRepository, type ListedFile, repositoryAt } from "./hub.ts";
import { blobPath, partialPath, publish, repositoryFolder, sizeOf, snapshotPath } from "./hub-cache.ts";
import { indexOf, narrow, type Wanted, wanted } from "./hub-files.ts";
import type { HubSettings } from "./hub-request.ts";
import { type Local, type Remote, resolve, suggestion } from "./resolve.ts";
import type { Places } from "./store-places.ts";

/** What a pull says while it works. */
export type PullEvent =
  | { readonly type: "started"; readonly repository: string; readonly files: readonly PullFile[] }
  | ({ readonly type: "progress" } & PullFile & { readonly completed: number })
  | {
      readonly type: "retry";
      readonly file?: string;
      readonly reason: string;
      readonly waitMs: number;
      readonly attempt: number;
    }
  /** Another process fetches the same repository; `completed` bytes of it are here. */
  | { readonly type: "waiting"; readonly repository: string; readonly completed: number };

interface PullFile {
  readonly file: string;
  readonly bytes: number;
}

export interface PullOptions {
  readonly hub: HubSettings;
  readonly places: Places;
  readonly ports: DownloadPorts;
  readonly signal?: AbortSignal;
  readonly onProgress?: (event: PullEvent) => void;
  /** Ask the hub for a newer revision even if the model is here. */
  readonly refresh?: boolean;
  /** Looks at config.json before the weights are fetched; throws a Problem if they would be of no use. */
  readonly checkConfig?: (config: unknown) => void;
}

/** At most so many progress events a second and file; a bar needs no more. */
const PROGRESS_EVERY_MS = 100;

/** Free bytes on the disk of a folder, for ordinary users. */
export async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/**
 * The folder or GGUF file of a model. Names: see `resolve`. Throws Problem: notFound, unauthorised, doesNotFit,
 * network, cancelled, invalid, forbidden (a cache that cannot be written), unavailable (another pull is stuck).
 */
export async function pull(name: string, options: PullOptions): Promise<Local> {
  const found = await resolve(name, options.places);
  if (
    found.type === "local" &&
    (options.refresh !== true || found.remote === undefined || options.hub.offline)
  )
    return found;
  const remote = found.type === "remote" ? found : found.remote;
  if (remote === undefined)
    throw new Error("unreachable: a local model without a repository was returned above");
  if (options.hub.offline) {
    throw new Problem(
      "network",
      `${remote.name} is not on this disk, and the hub may not be asked (HF_HUB_OFFLINE)`,
      {
        remedy: "Unset HF_HUB_OFFLINE, or name a model that `exo ls` lists.",
      },
    );
  }
  try {
    return await fromFirst(remote, options);
  } catch (error) {
    if (!(error instanceof Problem && error.kind === "notFound")) throw error;
    const near = await suggestion(remote.name, options.places);
    throw new Problem("notFound", error.message, { remedy: `${near}${error.remedy ?? ""}`, cause: error });
  }
}

/** The first repository that exists; the others are its second sources. */
async function fromFirst(remote: Remote, options: PullOptions): Promise<Local> {
  const [first, ...others] = remote.repositories;
  try {
    return await fromRepository(first, remote, options);
  } catch (error) {
    const [next, ...rest] = others;
    if (!(error instanceof Problem && error.kind === "notFound") || next === undefined) throw error;
    return await fromFirst({ ...remote, repositories: [next, ...rest] }, options);
  }
}

async function fromRepository(repository: string, remote: Remote, options: PullOptions): Promise<Local> {
  const { hub, ports, signal, onProgress } = options;
  const revision = remote.revision ?? "main";
  const listed = await repositoryAt(hub, ports, {
    repository,
    revision,
    ...(signal && { signal }),
    onRetry: (retry) => onProgress?.({ type: "retry", ...retry }),
  });
  const want = wanted(repository, listed.files, remote.file);
  const folder = repositoryFolder(options.places.hubFolders[0], repository);
  const download = downloadOf(folder, listed, options);
  const lock = join(
    options.places.hubFolders[0],
    ".locks",
    `models--${repository.replaceAll("/", "--")}`,
    "exo.lock",
  );
  const wait = {
    clock: ports.clock,
    ...(signal && { signal }),
    bytesSoFar: () => bytesHere(folder, [...want.description, ...want.weights]),
    onWait: (completed: number) => onProgress?.({ type: "waiting", repository, completed }),
  };
  await explained(folder, () =>
    locked(lock, wait, async () => {
      const files = await fetchWanted(want, download, options);
      await publish(folder, { commit: listed.commit, revision, files });
    }),
  );
  const root = snapshotPath(folder, listed.commit);
  const path = want.gguf === undefined ? root : join(root, want.gguf);
  return { type: "local", name: remote.name, reference: remote.reference, path, remote };
}

/** Description first: a config that cannot be run ends it before the weights cost anything. */
async function fetchWanted(
  want: Wanted,
  download: Download,
  options: PullOptions,
): Promise<readonly HubFile[]> {
  const description = await withHashes(want.description, download);
  // Small, and not yet announced: their bars come with the others', full.
  await downloadAll(description, { ...download, onBytes: () => undefined });
  const config = description.find(({ path }) => path === "config.json");
  if (config !== undefined) options.checkConfig?.(await readJson(download.folder, config, download));
  const index = description.find(({ path }) => path === indexOf(want)?.path);
  const named = index
    ? narrow(download.repository, want.weights, await readJson(download.folder, index, download))
    : want.weights;
  const weights = await withHashes(named, download);
  const files = [...description, ...weights];
  options.onProgress?.({
    type: "started",
    repository: download.repository,
    files: files.map(({ path, bytes }) => ({ file: path, bytes })),
  });
  for (const file of description) download.onBytes(file, file.bytes);
  await downloadAll(weights, download);
  return files;
}

/** One after the other: only a mirror that lists names alone is asked at all. */
async function withHashes(files: readonly ListedFile[], download: Download): Promise<readonly HubFile[]> {
  const complete: HubFile[] = [];
  for (const file of files) complete.push(await completed(download.hub, download.ports, file, download));
  return complete;
}

async function readJson(folder: string, file: HubFile, { commit, repository }: Download): Promise<unknown> {
  const blob = blobPath(folder, file);
  const path = (await sizeOf(blob)) === undefined ? join(snapshotPath(folder, commit), file.path) : blob;
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new Problem("invalid", `${file.path} of ${repository} is not JSON: ${String(cause)}`, {
      remedy: "Tell the repository's owner, or choose another conversion of the model.",
      cause,
    });
  }
}

function downloadOf(folder: string, { repository, commit }: HubRepository, options: PullOptions): Download {
  const { hub, ports, signal, onProgress } = options;
  const saidAtMs = new Map<string, number>();
  return {
    hub,
    ports,
    folder,
    repository,
    commit,
    ...(signal && { signal }),
    onBytes: ({ path, bytes }, completed) => {
      const now = ports.clock.nowMs();
      const due = now - (saidAtMs.get(path) ?? Number.NEGATIVE_INFINITY) >= PROGRESS_EVERY_MS;
      if (!due && completed < bytes) return;
      saidAtMs.set(path, now);
      onProgress?.({ type: "progress", file: path, bytes, completed });
    },
    onRetry: ({ path }, retry) => onProgress?.({ type: "retry", file: path, ...retry }),
  };
}

async function bytesHere(folder: string, files: readonly ListedFile[]): Promise<number> {
  let bytes = 0;
  for (const { path, bytes: size, hash } of files) {
    if (hash === undefined || size === undefined) continue;
    const file = { path, bytes: size, hash };
    bytes += (await sizeOf(blobPath(folder, file))) ?? (await sizeOf(partialPath(folder, file))) ?? 0;
  }
  return bytes;
}

/** Says what is wrong with a cache that cannot be written. */
async function explained<T>(folder: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    const remedy = "Make it writable, or set HF_HOME or HF_HUB_CACHE to a folder that is.";
    if (["ENOSPC", "EDQUOT", "SQLITE_FULL"].includes(code)) {
      throw new Problem("doesNotFit", `the disk of ${folder} is full (${code})`, { remedy, cause });
    }
    if (["EACCES", "EROFS", "EPERM", "ENOTDIR", "SQLITE_CANTOPEN", "SQLITE_READONLY"].includes(code)) {
      throw new Problem("forbidden", `the model cache ${folder} cannot be written (${code})`, {
        remedy,
        cause,
      });
    }
    throw cause;
  }
}
