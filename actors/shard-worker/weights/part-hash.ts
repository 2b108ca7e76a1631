/** SHA-256 in hex of what is copied from one machine to another. */
import { open } from "node:fs/promises";

/** Read at once. */
const PIECE_BYTES = 1024 * 1024;

/** Computed beside what this thread does. */
export const hashOfBytes = async (bytes: Uint8Array): Promise<string> =>
  Buffer.from(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>)).toString("hex");

/** Of the first bytes of a file, or of all where it has fewer. */
export async function hashOfHead(path: string, headBytes: number): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  const file = await open(path, "r");
  try {
    const piece = new Uint8Array(PIECE_BYTES);
    for (let done = 0; done < headBytes; ) {
      const { bytesRead } = await file.read(piece, 0, Math.min(PIECE_BYTES, headBytes - done), done);
      if (bytesRead === 0) break;
      hash.update(piece.subarray(0, bytesRead));
      done += bytesRead;
    }
  } finally {
    await file.close();
  }
  return hash.digest("hex");
}
