/** The files by which Linux tells of itself (`/proc`, `/sys`): one that is missing, refused or of no use is no fact, never a failure. */
import { closeSync, openSync, readdirSync, readSync } from "node:fs";

/** The largest that is read, /proc/cpuinfo of hundreds of processors, stays below. */
const FILE_BYTES_MAX = 1024 * 1024;
/** Of one folder: interfaces, sensors, batteries. */
const ENTRIES_MAX = 1024;
/** What nearly all of these files fit in, so that a reading allocates little. */
const FIRST_BYTES = 8192;

/** Undefined where it cannot be read. What is beyond a mebibyte is left out. */
export function readText(path: string): string | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    let bytes = Buffer.allocUnsafe(FIRST_BYTES);
    let length = 0;
    // Such files tell no size, and may give less than was asked before their end.
    for (;;) {
      const count = readSync(file, bytes, length, bytes.length - length, null);
      length += count;
      if (count === 0 || length >= FILE_BYTES_MAX) return bytes.toString("utf8", 0, length);
      if (length === bytes.length) bytes = Buffer.concat([bytes], Math.min(FILE_BYTES_MAX, 2 * length));
    }
  } catch {
    return undefined; // Not this platform, not for this user, or an interface that tells its speed only while it is up.
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Names in a folder, in order; none where it cannot be read. */
export function listFolder(path: string): readonly string[] {
  try {
    return readdirSync(path).sort().slice(0, ENTRIES_MAX);
  } catch {
    return []; // As above.
  }
}
