/** A file on its way: what has arrived so far, on disk and in the running hash. */
import { type FileHandle, open, rename, unlink } from "node:fs/promises";
import type { FileHash } from "./hub.ts";
import { ifMissing } from "./hub-cache.ts";

/** The bytes that have arrived of one file; they survive the process and are hashed again when taken up. */
export interface PartialFile {
  readonly bytes: number;
  append(chunk: Uint8Array): Promise<void>;
  /** Forgets what has arrived. */
  restart(): Promise<void>;
  /** The hash of what has arrived, once; hexadecimal. */
  digest(): string;
  close(): Promise<void>;
}

/** Pieces from the network are small; fewer and larger writes keep the disk busy instead of us. */
const WRITE_BYTES = 1024 * 1024;

/** Takes up the file at `path` or begins it; one that is longer than `size` cannot be a part of it and is begun anew. */
export async function openPartial(path: string, size: number, hash: FileHash): Promise<PartialFile> {
  const handle = await open(path, "a+");
  try {
    const held = await tookUp(handle, path, size, hash);
    return partial(handle, held.bytes, held.hasher, () => hasherOf(size, hash));
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function tookUp(handle: FileHandle, path: string, size: number, hash: FileHash) {
  const hasher = hasherOf(size, hash);
  const { size: bytes } = await handle.stat();
  if (bytes > size) {
    await handle.truncate(0);
    return { bytes: 0, hasher };
  }
  for await (const chunk of Bun.file(path).stream()) hasher.update(chunk);
  return { bytes, hasher };
}

function partial(
  handle: FileHandle,
  startBytes: number,
  startHasher: Bun.CryptoHasher,
  fresh: () => Bun.CryptoHasher,
): PartialFile {
  let bytes = startBytes;
  let hasher = startHasher;
  let waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  const flush = async () => {
    if (waitingBytes === 0) return;
    const block =
      waiting.length === 1 && waiting[0] !== undefined ? waiting[0] : Buffer.concat(waiting, waitingBytes);
    waiting = [];
    waitingBytes = 0;
    for (let at = 0; at < block.byteLength; ) at += (await handle.write(block, at)).bytesWritten;
  };
  return {
    get bytes() {
      return bytes;
    },
    async append(chunk) {
      hasher.update(chunk);
      bytes += chunk.byteLength;
      waiting.push(chunk);
      waitingBytes += chunk.byteLength;
      if (waitingBytes >= WRITE_BYTES) await flush();
    },
    async restart() {
      waiting = [];
      waitingBytes = 0;
      bytes = 0;
      hasher = fresh();
      await handle.truncate(0);
    },
    digest: () => hasher.digest("hex"),
    async close() {
      try {
        await flush();
        await handle.sync();
      } finally {
        await handle.close();
      }
    },
  };
}

/** git hashes a blob as `blob <size>\0<content>`: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects. */
export function hasherOf(size: number, hash: FileHash): Bun.CryptoHasher {
  if (hash.type === "sha256") return new Bun.CryptoHasher("sha256");
  return new Bun.CryptoHasher("sha1").update(`blob ${size}\0`);
}

/** Gives a verified file its lasting name, in one step. */
export const settle = (partialPath: string, path: string): Promise<void> => rename(partialPath, path);

export const discard = (partialPath: string): Promise<void> => unlink(partialPath).catch(ifMissing);
