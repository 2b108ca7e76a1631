/** A few pages of each tensor: they tell two sets of weights of one shape apart without reading either whole. */
import { type FileHandle, open } from "node:fs/promises";
import { truncated } from "./file-bytes.ts";

/** Where a tensor's bytes lie, in one piece or as one after the other. */
export interface PlacedTensor {
  readonly name: string;
  readonly parts: readonly { readonly path: string; readonly offset: number; readonly bytes: number }[];
}

/** Some bytes of one tensor, counted from its first. */
export interface Piece {
  readonly tensor: PlacedTensor;
  readonly offset: number;
  readonly length: number;
}

/** One page: less costs a disk as much. */
const PIECE_BYTES = 4096;
/** A training changes all of a tensor; its ends and some places between show also who changed a part of it. */
const PIECES_EACH = 5;
/** A disk that turns makes some 200 seeks a second where they do not follow each other: these do, so ten seconds are the worst. */
const PIECES_MAX = 2048;
export const SAMPLED_BYTES_MAX = PIECES_MAX * PIECE_BYTES;
/** Enough to keep a fast disk busy. */
const READS_AT_ONCE = 16;

/**
 * What is compared of these tensors, by name and then by place: of each its first page, its last, and up to three between; fewer where
 * tensors are many; of more than 2048, one page of every so manieth. The same for all who have tensors of these names and sizes.
 */
export function piecesOf(tensors: readonly PlacedTensor[]): readonly Piece[] {
  const sorted = [...tensors].sort((a, b) => (a.name < b.name ? -1 : 1));
  const chosen =
    sorted.length <= PIECES_MAX
      ? sorted
      : Array.from(
          { length: PIECES_MAX },
          (_, i) => sorted[Math.floor((i * sorted.length) / PIECES_MAX)],
        ).filter((each) => each !== undefined);
  const each = Math.max(1, Math.min(PIECES_EACH, Math.floor(PIECES_MAX / Math.max(1, chosen.length))));
  return chosen.flatMap((tensor) => piecesOfOne(tensor, each));
}

function piecesOfOne(tensor: PlacedTensor, count: number): readonly Piece[] {
  const bytes = bytesOf(tensor);
  if (bytes <= count * PIECE_BYTES) return [{ tensor, offset: 0, length: bytes }];
  const last = bytes - PIECE_BYTES;
  return Array.from({ length: count }, (_, i) => ({
    tensor,
    offset: Math.floor(count === 1 ? last / 2 : (i * last) / (count - 1)),
    length: PIECE_BYTES,
  }));
}

const bytesOf = ({ parts }: PlacedTensor): number => parts.reduce((sum, { bytes }) => sum + bytes, 0);

/** Bytes of one file, and where in the sample they go. */
interface Read {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
  readonly to: number;
}

/** SHA-256 in hex of the pieces. At most 8 MiB are read, never in the way of what else this thread does. Throws Problem. */
export async function sampledHash(tensors: readonly PlacedTensor[]): Promise<string> {
  const reads: Read[] = [];
  let size = 0;
  for (const { tensor, offset, length } of piecesOf(tensors)) {
    reads.push(...readsOf(tensor, offset, length, size));
    size += length;
  }
  const sample = new Uint8Array(size);
  await readAll(reads, sample);
  return Buffer.from(await crypto.subtle.digest("SHA-256", sample)).toString("hex");
}

/** A piece may lie in several parts. */
function readsOf({ parts }: PlacedTensor, offset: number, length: number, to: number): readonly Read[] {
  const reads: Read[] = [];
  let start = 0;
  for (const part of parts) {
    const from = Math.max(offset, start);
    const end = Math.min(offset + length, start + part.bytes);
    if (from < end)
      reads.push({
        path: part.path,
        offset: part.offset + from - start,
        length: end - from,
        to: to + from - offset,
      });
    start += part.bytes;
  }
  return reads;
}

/** In the order in which a disk has them. */
async function readAll(reads: readonly Read[], sample: Uint8Array): Promise<void> {
  const files = new Map<string, FileHandle>();
  try {
    for (const { path } of reads) if (!files.has(path)) files.set(path, await open(path, "r"));
    const inOrder = reads.toSorted((a, b) =>
      a.path === b.path ? a.offset - b.offset : a.path < b.path ? -1 : 1,
    );
    const queue = inOrder.values();
    const work = async () => {
      for (const read of queue) {
        const file = files.get(read.path);
        if (file) await readOne(file, read, sample);
      }
    };
    await Promise.all(Array.from({ length: READS_AT_ONCE }, work));
  } finally {
    for (const file of files.values()) await file.close();
  }
}

async function readOne(
  file: FileHandle,
  { path, offset, length, to }: Read,
  sample: Uint8Array,
): Promise<void> {
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(sample, to + done, length - done, offset + done);
    if (bytesRead === 0) throw truncated(path, offset + done, "a tensor");
    done += bytesRead;
  }
}
