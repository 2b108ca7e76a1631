/** Secrets on disk are for their owner alone. */
import { type FileHandle, rm } from "node:fs/promises";
import { Problem } from "#protocol/problem";

/** Bits that let anybody but the owner in. */
const OTHERS = 0o077;

/** Throws a Problem when others have any right to `path`, whose mode is `bits`; `wanted` is what it should be, in octal. */
export function refuseMode(path: string, bits: number, wanted: string): void {
  if (process.platform === "win32" || (bits & OTHERS) === 0) return;
  const message = `${path} can be read by others on this machine (mode ${(bits & 0o777).toString(8)})`;
  throw new Problem("forbidden", message, { remedy: `chmod ${wanted} '${path}'` });
}

/** Writes the whole of a new file and closes it; where the disk has no room for it, nothing of it stays. */
export async function filled(file: FileHandle, path: string, text: string): Promise<void> {
  try {
    await file.writeFile(text);
    await file.sync();
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}
