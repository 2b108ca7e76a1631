/** Parts of a model's files on their way over one link, some at once, each with its hash. */

import { hashOfBytes } from "#actors/shard-worker/weights/part-hash";
import type { CopiedPart, PartialCopy } from "#actors/shard-worker/weights/partial-copy";
import { Problem } from "#protocol/problem";
import type { FilesLink } from "./asking.ts";

/** Asked for and not yet here: 8 MiB, what a line of 1 Gbit/s with 60 ms carries. */
const WINDOW = 8;
/** Written to the disk for good so often; after a crash no more than this is fetched again. */
const SETTLE_PARTS = 64;
/** A wrong hash is a bad line or memory; a second one of the same part a bad disk there. */
const HASH_TRIES = 2;

/** Resolves when all of them are here; `arrived` is told of each. Throws Problem. */
export async function take(
  link: FilesLink,
  copy: PartialCopy,
  { parts, arrived }: { readonly parts: readonly CopiedPart[]; readonly arrived: (part: CopiedPart) => void },
): Promise<void> {
  const queue = parts.values();
  let unsettled = 0;
  const work = async () => {
    for (const part of queue) {
      await takeOne(link, copy, part);
      arrived(part);
      unsettled += 1;
      if (unsettled < SETTLE_PARTS) continue;
      unsettled = 0;
      await copy.settle();
    }
  };
  const workers = Array.from({ length: WINDOW }, work);
  await Promise.all(workers).catch(async (error: unknown) => {
    link.close();
    await Promise.allSettled(workers);
    throw error;
  });
}

async function takeOne(link: FilesLink, copy: PartialCopy, part: CopiedPart): Promise<void> {
  for (let left = HASH_TRIES; ; left--) {
    const { bytes, hash } = await link.read(part);
    if (bytes.length === part.length && (await hashOfBytes(bytes)) === hash)
      return await copy.put(part, bytes, hash);
    if (left <= 1)
      throw new Problem("network", `${copy.files[part.file]?.name} arrives damaged at byte ${part.offset}`);
  }
}
