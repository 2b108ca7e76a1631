/** A file read in pieces: headers of checkpoints, never the weights themselves. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { Problem } from "#protocol/problem";

export interface FileBytes {
  readonly path: string;
  readonly size: number;
  /** Exactly `length` bytes from `offset`. Throws Problem when the file ends before; `what` is what they are. */
  read(offset: number, length: number, what: string): Uint8Array;
}

/** Opens the file for the time of `work`. Throws Problem naming the file when it cannot be opened or read. */
export function withFile<T>(path: string, work: (file: FileBytes) => T): T {
  const descriptor = attempt(path, () => openSync(path, "r"));
  try {
    const facts = attempt(path, () => fstatSync(descriptor));
    if (!facts.isFile()) throw new Problem("invalid", `${path} is not a file`);
    return work({
      path,
      size: facts.size,
      read: (offset, length, what) =>
        attempt(path, () => readAll(descriptor, path, { offset, length, what })),
    });
  } finally {
    closeSync(descriptor);
  }
}

function readAll(
  descriptor: number,
  path: string,
  { offset, length, what }: { offset: number; length: number; what: string },
): Uint8Array {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const got = readSync(descriptor, bytes, done, length - done, offset + done);
    if (got === 0) throw truncated(path, offset + done, what);
    done += got;
  }
  return bytes;
}

/** A file that ends at `byte`, in the middle of `what`. */
export const truncated = (path: string, byte: number, what: string): Problem =>
  new Problem("invalid", `${path} ends at byte ${byte}, in the middle of ${what}`, {
    remedy: "the file was not copied or downloaded whole: fetch it again",
  });

/** A value as a message shows it, cut where a hostile file made it long. */
export const quoted = (value: unknown): string => {
  const text = JSON.stringify(value) ?? "(nothing)";
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
};

function attempt<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof Problem) throw cause;
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (code === "ENOENT") throw new Problem("notFound", `${path} does not exist`, { cause });
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Problem("invalid", `${path} cannot be read: ${why}`, { cause });
  }
}
