/**
 * One download of a repository at a time, across processes. The lock is the operating system's own (through an SQLite
 * file, the built-in door to it), so a process that is killed lets go of it at that moment.
 */
import { Database } from "bun:sqlite";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock } from "#actors/runtime/clock";
import { Problem } from "#protocol/problem";
import { pause } from "./hub-request.ts";

export interface LockWait {
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  /** Bytes that have arrived so far, whoever fetches them: the sign that the holder is alive. */
  readonly bytesSoFar: () => Promise<number>;
  /** Called before each wait, with `bytesSoFar`. */
  readonly onWait: (bytes: number) => void;
}

const POLL_MS = 250;
/** Longer than the longest wait that the hub can ask of the holder (300 s): a holder so long without a byte is stuck. */
const MAX_STILL_MS = 360_000;

/** Runs while holding the lock; waits as long as its holder makes progress, else throws Problem unavailable. */
export async function locked<T>(path: string, wait: LockWait, run: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const lock = new Database(path);
  try {
    await acquire(lock, path, wait);
    return await run();
  } finally {
    lock.close();
  }
}

async function acquire(
  lock: Database,
  path: string,
  { clock, signal, bytesSoFar, onWait }: LockWait,
): Promise<void> {
  let bytes = -1;
  let stillSinceMs = clock.nowMs();
  while (!taken(lock)) {
    const now = await bytesSoFar();
    if (now !== bytes) stillSinceMs = clock.nowMs();
    bytes = now;
    if (clock.nowMs() - stillSinceMs > MAX_STILL_MS) {
      throw new Problem(
        "unavailable",
        `another exo holds ${path} and has fetched nothing for ${MAX_STILL_MS / 1000} s`,
        {
          remedy: "Stop that exo, then try again.",
        },
      );
    }
    onWait(bytes);
    await pause(clock, POLL_MS, signal);
  }
}

function taken(lock: Database): boolean {
  try {
    lock.run("PRAGMA busy_timeout = 0");
    lock.run("BEGIN EXCLUSIVE");
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "SQLITE_BUSY") return false;
    throw error;
  }
}
