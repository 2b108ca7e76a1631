/**
 * A model of which only parts are here, as another machine has it: files of full length with holes, and a journal of what is in them.
 * It lies where no store looks (`.parts` among the models), so that it is never taken for a whole one.
 *
 * Bytes are on the disk before the journal says so: after a crash at any moment, what it names is there. What was left unfinished is
 * hashed again before more is fetched.
 */
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { COPIED_PART_BYTES, type CopiedFile } from "#protocol/copying";
import { ifMissing, sizeOf } from "./hub-cache.ts";
import { checkFiles } from "./offered-files.ts";
import { ORIGIN, type Origin } from "./origin.ts";
import { hashOfBytes, hashOfHead } from "./part-hash.ts";
import {
  type CopiedModel,
  checkDigest,
  folderOf,
  partialModels,
  RECORD,
  removeOthers,
} from "./partial-list.ts";
import type { FileRange } from "./shard-ranges.ts";

/** One read of another machine's file: `length` bytes from `offset`, which is a multiple of COPIED_PART_BYTES. */
export interface CopiedPart {
  readonly file: number;
  readonly offset: number;
  readonly length: number;
}

const JOURNAL = "here";
/** Enough to keep a fast disk busy. */
const CHECKS_AT_ONCE = 8;
/** In the journal, in place of the hash of a part that was found damaged. */
const GONE = "-";

export class PartialCopy {
  readonly files: readonly CopiedFile[];
  readonly #folder: string;
  /** By file, the hash of each part by its offset. */
  readonly #here: readonly Map<number, string>[];
  readonly #handles = new Map<number, FileHandle>();
  /** Found as the journal says, or written, by this process. */
  readonly #sound = new Set<string>();
  /** Written, and not yet in the journal. */
  #fresh: { readonly part: CopiedPart; readonly hash: string }[] = [];

  private constructor(folder: string, files: readonly CopiedFile[]) {
    this.#folder = folder;
    this.files = files;
    this.#here = files.map(() => new Map());
  }

  /** What is here of it already, in files as one machine or another has them; most of it first. Throws Problem for a digest that is none. */
  static async known(models: string, { digest }: CopiedModel): Promise<readonly PartialCopy[]> {
    checkDigest(digest);
    const found: PartialCopy[] = [];
    for (const each of await partialModels(models)) {
      const copy = each.digest === digest ? await PartialCopy.#at(each.folder, each.files) : undefined;
      if (copy) found.push(copy);
    }
    return found.sort((a, b) => b.#parts - a.#parts);
  }

  /** As `known`, or begun, with files that are all holes. Other versions of the model that were fetched so are deleted. */
  static async begun(models: string, what: CopiedModel, files: readonly CopiedFile[]): Promise<PartialCopy> {
    checkFiles(files);
    const folder = folderOf(models, what.digest, files);
    const known = await PartialCopy.#at(folder, files);
    if (!known) await removeOthers(models, what);
    const copy = known ?? (await PartialCopy.#made(folder, files));
    // Who lists or deletes what is here goes by it, and a crash may have come between the files and this.
    if ((await sizeOf(join(folder, RECORD))) === undefined)
      await written(join(folder, RECORD), JSON.stringify({ ...what, files }));
    return copy;
  }

  static async #made(folder: string, files: readonly CopiedFile[]): Promise<PartialCopy> {
    await rm(folder, { recursive: true, force: true });
    const copy = new PartialCopy(folder, files);
    await mkdir(copy.#place, { recursive: true });
    for (const { name, bytes } of files) {
      const made = await open(join(copy.#place, name), "w");
      await made.truncate(bytes);
      await made.close();
    }
    await synced(copy.#place);
    return copy;
  }

  /** Undefined where files are missing, or not as long as they were. */
  static async #at(folder: string, files: readonly CopiedFile[]): Promise<PartialCopy | undefined> {
    const copy = new PartialCopy(folder, files);
    for (const { name, bytes } of files)
      if ((await sizeOf(join(copy.#place, name))) !== bytes) return undefined;
    await copy.#readJournal();
    return copy;
  }

  /** What a worker is to load. */
  get path(): string {
    const [first] = this.files;
    const isGguf = this.files.every(({ name }) => name.endsWith(".gguf"));
    return isGguf && first ? join(this.#place, first.name) : this.#place;
  }

  /** What everybody needs who holds a part: headers, config, tokenizer. */
  get heads(): readonly FileRange[] {
    return this.files.map(({ name, headBytes }) => ({ file: name, offset: 0, bytes: headBytes }));
  }

  get whole(): readonly FileRange[] {
    return this.files.map(({ name, bytes }) => ({ file: name, offset: 0, bytes }));
  }

  /** The parts in which these ranges lie, each once, in the order of the files. */
  partsOf(ranges: readonly FileRange[]): readonly CopiedPart[] {
    const offsets = this.files.map(() => new Set<number>());
    for (const { file, offset, bytes } of ranges) {
      const at = this.files.findIndex(({ name }) => name === file);
      const first = offset - (offset % COPIED_PART_BYTES);
      for (let start = first; start < offset + bytes; start += COPIED_PART_BYTES) offsets[at]?.add(start);
    }
    return this.files.flatMap(({ bytes }, file) =>
      [...(offsets[file] ?? [])]
        .sort((a, b) => a - b)
        .map((offset) => ({ file, offset, length: Math.min(COPIED_PART_BYTES, bytes - offset) })),
    );
  }

  isHere({ file, offset }: CopiedPart): boolean {
    return this.#here[file]?.has(offset) ?? false;
  }

  /**
   * Hashes anew what the journal says is here, unless this process did; what is not as it was is missing again, and the journal says so
   * before more is fetched.
   */
  async check(
    parts: readonly CopiedPart[],
    signal: AbortSignal,
    sound: (part: CopiedPart) => void,
  ): Promise<void> {
    const queue = parts.filter((part) => this.isHere(part) && !this.#sound.has(keyOf(part))).values();
    let isOver = false;
    const work = async () => {
      const bytes = new Uint8Array(COPIED_PART_BYTES);
      for (const part of queue) {
        signal.throwIfAborted();
        if (isOver) return;
        const handle = await this.#handle(part.file);
        const { bytesRead } = await handle.read(bytes, 0, part.length, part.offset);
        if ((await hashOfBytes(bytes.subarray(0, bytesRead))) === this.#here[part.file]?.get(part.offset)) {
          this.#sound.add(keyOf(part));
          sound(part);
          continue;
        }
        this.#here[part.file]?.delete(part.offset);
        await this.#note([`${part.file} ${part.offset} ${GONE}`]);
      }
    };
    const workers = Array.from({ length: CHECKS_AT_ONCE }, work);
    try {
      await Promise.all(workers);
    } finally {
      isOver = true;
      await Promise.allSettled(workers);
    }
  }

  /** Whether the heads that arrived are those of the files that were named. */
  async hasItsHeads(): Promise<boolean> {
    for (const { name, headBytes, headHash } of this.files)
      if (headHash && (await hashOfHead(join(this.#place, name), headBytes)) !== headHash) return false;
    return true;
  }

  /** Kept across a crash once `settle` has resolved. */
  async put(part: CopiedPart, bytes: Uint8Array, hash: string): Promise<void> {
    const handle = await this.#handle(part.file);
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, part.offset + done);
      done += bytesWritten;
    }
    this.#fresh.push({ part, hash });
    this.#here[part.file]?.set(part.offset, hash);
    this.#sound.add(keyOf(part));
  }

  async settle(): Promise<void> {
    const fresh = this.#fresh;
    if (fresh.length === 0) return;
    this.#fresh = [];
    for (const file of new Set(fresh.map(({ part }) => part.file)))
      await (await this.#handle(file)).datasync();
    await this.#note(fresh.map(({ part, hash }) => `${part.file} ${part.offset} ${hash}`));
  }

  async close(): Promise<void> {
    for (const handle of this.#handles.values()) await handle.close();
    this.#handles.clear();
  }

  /** Deletes it; to be closed before. */
  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Gives a model that is whole its place among the others, with a note of where it is from; answers where it lies then. */
  async publish(models: string, name: string, origin: Origin): Promise<string> {
    const folder = join(models, name);
    if (!/^[\w-][\w.-]*(\/[\w-][\w.-]*)?$/.test(name) || !(await isFree(folder))) return this.path;
    const path = this.path.replace(this.#place, folder);
    await written(join(this.#place, ORIGIN), JSON.stringify(origin));
    await mkdir(join(folder, ".."), { recursive: true });
    await rename(this.#place, folder);
    await synced(join(folder, ".."));
    await rm(this.#folder, { recursive: true, force: true });
    return path;
  }

  get #parts(): number {
    return this.#here.reduce((sum, { size }) => sum + size, 0);
  }

  get #place(): string {
    return join(this.#folder, "files");
  }

  async #handle(file: number): Promise<FileHandle> {
    const known = this.#handles.get(file);
    if (known) return known;
    const made = await open(join(this.#place, this.files[file]?.name ?? ""), "r+");
    // Two may have opened it at once.
    const other = this.#handles.get(file);
    if (other) {
      await made.close();
      return other;
    }
    this.#handles.set(file, made);
    return made;
  }

  /** For good. Begins on a line of its own, whatever a crash left of the last one. */
  async #note(lines: readonly string[]): Promise<void> {
    const journal = await open(join(this.#folder, JOURNAL), "a");
    try {
      await journal.writeFile(`\n${lines.join("\n")}\n`);
      await journal.datasync();
    } finally {
      await journal.close();
    }
  }

  /** Later lines win; one that a crash cut short is none. */
  async #readJournal(): Promise<void> {
    const text = await readFile(join(this.#folder, JOURNAL), "utf8").catch(ifMissing);
    for (const [, file, offset, hash] of (text ?? "").matchAll(/^(\d+) (\d+) ([0-9a-f]{64}|-)$/gm)) {
      const parts = this.#here[Number(file)];
      if (hash === GONE) parts?.delete(Number(offset));
      else parts?.set(Number(offset), hash ?? "");
    }
  }
}

async function written(path: string, text: string): Promise<void> {
  const file = await open(`${path}.new`, "w");
  await file.writeFile(text);
  await file.sync();
  await file.close();
  await rename(`${path}.new`, path);
  await synced(join(path, ".."));
}

/** What the folder names is on the disk. */
async function synced(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  await handle.sync().finally(() => handle.close());
}

/** Whether nothing lies there; what is left of a model that was deleted goes. */
async function isFree(folder: string): Promise<boolean> {
  const names = await readdir(folder).catch(ifMissing);
  if (names?.every((name) => name === ORIGIN)) await rm(folder, { recursive: true });
  return names?.every((name) => name === ORIGIN) ?? true;
}

const keyOf = ({ file, offset }: CopiedPart): string => `${file} ${offset}`;
