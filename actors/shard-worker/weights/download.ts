/** Files of a repository, fetched several at once, resumed, verified by hash and only then given their name. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Problem } from "#protocol/problem";
import { discard, openPartial, type PartialFile, settle } from "./download-partial.ts";
import { fileUrl, type HubFile } from "./hub.ts";
import { chunks } from "./hub-body.ts";
import { blobPath, isHeld, partialPath, sizeOf } from "./hub-cache.ts";
import {
  askOnce,
  type HubPorts,
  type HubSettings,
  type OnRetry,
  Passing,
  pauseOrGiveUp,
} from "./hub-request.ts";

export interface DownloadPorts extends HubPorts {
  /** Bytes that this user may still write on the disk of `folder`, which exists. */
  readonly freeBytes: (folder: string) => Promise<number>;
}

export interface Download {
  readonly hub: HubSettings;
  readonly ports: DownloadPorts;
  /** The repository's folder in the cache. */
  readonly folder: string;
  readonly repository: string;
  readonly commit: string;
  readonly signal?: AbortSignal;
  /** Bytes of a file that are here now, counting those of earlier runs; the last call has them all. */
  readonly onBytes: (file: HubFile, completed: number) => void;
  readonly onRetry: (file: HubFile, retry: Parameters<OnRetry>[0]) => void;
}

/** More than a few connections win nothing on one line and cost the hub. */
export const FILES_AT_ONCE = 4;
/** Attempts of a file whose hash is wrong: a second one tells a bad line from a bad file. */
const HASH_ATTEMPTS = 2;
/** A connection that brought so much counts as progress and starts the count of attempts anew. */
const PROGRESS_BYTES = 1024 * 1024;
/** Left free on the disk, for everything else that writes there. */
export const RESERVE_BYTES = 16 * 1024 * 1024;

/** Leaves every file's blob in the cache; throws the first Problem and stops the others. */
export async function downloadAll(files: readonly HubFile[], download: Download): Promise<void> {
  const stop = new AbortController();
  const onAbort = () => stop.abort();
  download.signal?.addEventListener("abort", onAbort, { once: true });
  if (download.signal?.aborted) stop.abort();
  try {
    await mkdir(join(download.folder, "blobs"), { recursive: true });
    const missing = await notHeld(files, download);
    await checkDisk(missing, download);
    const queue = missing.values();
    const work = async () => {
      for (const file of queue) await downloadOne(file, { ...download, signal: stop.signal });
    };
    const workers = Array.from({ length: FILES_AT_ONCE }, work);
    await Promise.all(workers).catch(async (error) => {
      stop.abort();
      await Promise.allSettled(workers);
      throw error;
    });
  } finally {
    download.signal?.removeEventListener("abort", onAbort);
  }
}

async function notHeld(
  files: readonly HubFile[],
  { folder, commit, onBytes }: Download,
): Promise<readonly HubFile[]> {
  const missing: HubFile[] = [];
  for (const file of files) {
    const held = await isHeld(folder, commit, file);
    if (held) onBytes(file, file.bytes);
    // Two paths of one content are one blob.
    else if (!missing.some(({ hash }) => hash.hex === file.hash.hex)) missing.push(file);
  }
  return missing;
}

async function checkDisk(
  missing: readonly HubFile[],
  { folder, repository, ports }: Download,
): Promise<void> {
  let needed = 0;
  for (const file of missing)
    needed += Math.max(0, file.bytes - ((await sizeOf(partialPath(folder, file))) ?? 0));
  const free = await ports.freeBytes(folder);
  if (needed === 0 || needed + RESERVE_BYTES <= free) return;
  throw diskFull(`${repository} needs ${inUnits(needed)} more`, folder, free);
}

const diskFull = (need: string, folder: string, free: number): Problem =>
  new Problem("doesNotFit", `${need} on the disk of ${folder}, which has ${inUnits(free)} free`, {
    remedy:
      "Free some space (`exo ls`, `exo rm`), or set HF_HOME to a folder on a larger disk. What has arrived is kept.",
  });

/** Bytes as people compare them with their disks: powers of ten. */
export function inUnits(bytes: number): string {
  const [unit, size] = bytes >= 1e9 ? ["GB", 1e9] : bytes >= 1e6 ? ["MB", 1e6] : ["kB", 1e3];
  return `${(bytes / size).toFixed(bytes >= 100 * size ? 0 : 1)} ${unit}`;
}

async function downloadOne(file: HubFile, download: Download): Promise<void> {
  const path = partialPath(download.folder, file);
  for (let attempt = 1; ; attempt++) {
    const actual = await fetchWhole(file, path, download);
    if (actual === file.hash.hex) return await settle(path, blobPath(download.folder, file));
    await discard(path);
    const kind = file.hash.type === "sha256" ? "SHA-256" : "git SHA-1";
    const reason = `${file.path} of ${download.repository} arrived with ${kind} ${actual} instead of ${file.hash.hex}; it was removed`;
    if (attempt >= HASH_ATTEMPTS) {
      throw new Problem("network", reason, {
        remedy: "Try again later, or check HF_ENDPOINT and any proxy between.",
      });
    }
    download.onRetry(file, { reason, waitMs: 0, attempt });
  }
}

/** Brings the partial file to its full length and returns its hash. */
async function fetchWhole(file: HubFile, path: string, download: Download): Promise<string> {
  try {
    const partial = await openPartial(path, file.bytes, file.hash);
    try {
      await appendAll(file, partial, download);
    } finally {
      await partial.close();
    }
    return partial.digest();
  } catch (error) {
    if (!(error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT")))
      throw error;
    const left = file.bytes - ((await sizeOf(path)) ?? 0);
    throw diskFull(
      `${file.path} of ${download.repository} needs ${inUnits(left)} more`,
      download.folder,
      await download.ports.freeBytes(download.folder),
    );
  }
}

async function appendAll(file: HubFile, partial: PartialFile, download: Download): Promise<void> {
  const { ports, signal, repository, commit } = download;
  const request = {
    url: fileUrl(download.hub, repository, commit, file.path),
    subject: { repository, revision: commit, file: file.path },
    ...(signal && { signal }),
    onRetry: (retry: Parameters<OnRetry>[0]) => download.onRetry(file, retry),
  };
  download.onBytes(file, partial.bytes);
  for (let attempt = 1; partial.bytes < file.bytes; ) {
    const before = partial.bytes;
    try {
      await appendSome(file, partial, download, request);
    } catch (error) {
      if (!(error instanceof Passing)) throw error;
      if (partial.bytes - before >= PROGRESS_BYTES) attempt = 1;
      await pauseOrGiveUp(error, attempt, ports.clock, request);
      attempt++;
    }
  }
}

/** One connection's worth. */
async function appendSome(
  file: HubFile,
  partial: PartialFile,
  { hub, ports, signal, onBytes, repository }: Download,
  request: Parameters<typeof askOnce>[2],
): Promise<void> {
  const from = partial.bytes;
  const answer = await askOnce(hub, ports, {
    ...request,
    ...(from > 0 && { headers: { range: `bytes=${from}-` } }),
  });
  const offered = answer.linked.etag;
  if (
    file.hash.type === "sha256" &&
    offered !== undefined &&
    /^[0-9a-f]{64}$/.test(offered) &&
    offered !== file.hash.hex
  ) {
    answer.close();
    throw new Problem(
      "network",
      `the hub lists ${file.path} of ${repository} as ${file.hash.hex} but offers ${offered}`,
      {
        remedy: "Try again later, or check HF_ENDPOINT.",
      },
    );
  }
  if (!continuesAt(answer.response, from)) {
    await partial.restart();
    if (answer.response.status !== 200) {
      answer.close();
      throw new Passing(`the hub does not continue ${file.path} at byte ${from}`);
    }
  }
  for await (const chunk of chunks(answer, ports.clock, signal)) {
    if (partial.bytes + chunk.byteLength > file.bytes) {
      await partial.restart();
      throw new Passing(`${file.path} is longer than the ${file.bytes} bytes that the hub lists`);
    }
    await partial.append(chunk);
    onBytes(file, partial.bytes);
  }
  if (partial.bytes < file.bytes)
    throw new Passing(`the connection ended at byte ${partial.bytes} of ${file.bytes}`);
}

/** A server may answer a range with the whole (200), or with another range than asked. */
function continuesAt(response: Response, from: number): boolean {
  if (response.status === 200) return from === 0;
  const start = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")?.[1];
  return response.status === 206 && Number(start) === from;
}
