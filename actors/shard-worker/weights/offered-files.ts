/** What another machine says of a model's files, before anything is written here by that. */
import type { CopiedFile } from "#protocol/copying";
import { Problem } from "#protocol/problem";

/** Twice the largest model there is; what is held in memory of each MiB is then some hundred megabytes at the most. */
const FILES_BYTES_MAX = 4 * 2 ** 40;
/** Headers of a hundred thousand tensors take 20 MB, the largest tokenizers 40. */
const HEADS_BYTES_MAX = 256 * 2 ** 20;

/** Throws Problem: no file lies outside of the model's folder, none comes twice, and together they have the size of a model. */
export function checkFiles(files: readonly CopiedFile[]): void {
  const odd = files.find(
    ({ name, bytes, headBytes }) =>
      headBytes > bytes || !/^[^./\\\p{C}][^/\\\p{C}]*\.(json|jinja|txt|safetensors|gguf)$/u.test(name),
  );
  if (odd)
    throw new Problem(
      "invalid",
      `the other machine names a file that no model has: ${JSON.stringify(odd.name)}`,
    );
  if (new Set(files.map(({ name }) => name)).size !== files.length)
    throw new Problem("invalid", "the other machine names a file twice");
  const bytes = files.reduce((sum, each) => sum + each.bytes, 0);
  if (bytes > FILES_BYTES_MAX || headBytesOf(files) > HEADS_BYTES_MAX)
    throw new Problem("invalid", "the other machine names files larger than those of any model");
}

/** What everybody needs of them who holds a part. */
export const headBytesOf = (files: readonly CopiedFile[]): number =>
  files.reduce((sum, { headBytes }) => sum + headBytes, 0);
