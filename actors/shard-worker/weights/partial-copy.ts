/**
 * A model of which only parts are here, as another machine has it: files of full length with holes, and a journal of what is in them.
 * It lies where no store looks (`.parts` among the models), so that it is never taken for a whole one.
 *
 * Bytes are on the disk before the journal says so: after a crash at any moment, what it names is there. What was left unfinished is
 * hashed again before more is fetched.
 */
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { COPIED_PART_BYTES, type CopiedFile } from "#protocol/copying";
import { Problem } from "#protocol/problem";
import { ifMissing, sizeOf } from "./hub-cache.ts";
import type { FileRange } from "./shard-ranges.ts";
import { readJsonFile } from "./store-folder.ts";

/** One read of another machine's file: `length` bytes from `offset`, which is a multiple of COPIED_PART_BYTES. */
export interface CopiedPart {
  readonly file: number;
  readonly offset: number;
  readonly length: number;
}

export interface CopiedModel {
  readonly model: string;
  /** Of the whole checkpoint, SHA-256 in hex. */
  readonly digest: string;
}

/** Below the folder of models. */
const FOLDER = ".parts";
const RECORD = "model.json";
const JOURNAL = "here";
/** In the journal, in place of the hash of a part that was found damaged. */
const GONE = "-";

export class PartialCopy {
  readonly files: readonly CopiedFile[];
  readonly #folder: string;
  /** By file, the hash of each part by its offset. */
  readonly #here: readonly Map<number, string>[];
  readonly #handles = new Map<number, FileHandle>();
  /** Written, and not yet in the journal. */
  #fresh: { readonly part: CopiedPart; readonly hash: string }[] = [];

  private constructor(folder: string, files: readonly CopiedFile[]) {
    this.#folder = folder;
    this.files = files;
    this.#here = files.map(() => new Map());
  }

  /** What is here of it already; undefined where that is nothing. Throws Problem for a digest that is none. */
  static async known(models: string, { digest }: CopiedModel): Promise<PartialCopy | undefined> {
    const folder = folderOf(models, digest);
    const record = await readJsonFile(join(folder, RECORD));
    if (!Array.isArray(record?.files)) return undefined;
    const copy = new PartialCopy(folder, record.files);
    for (const { name, bytes } of copy.files)
      if ((await sizeOf(join(copy.#place, name))) !== bytes) return undefined;
    await copy.#readJournal();
    return copy;
  }

  /** As `known`, or begun, with files that are all holes. Other versions of the model that were fetched so are deleted. */
  static async begun(models: string, what: CopiedModel, files: readonly CopiedFile[]): Promise<PartialCopy> {
    checkNames(files);
    const known = await PartialCopy.known(models, what);
    if (known && Bun.deepEquals(known.files, files)) return known;
    const folder = folderOf(models, what.digest);
    await removePartial(models, what.model);
    await rm(folder, { recursive: true, force: true });
    const copy = new PartialCopy(folder, files);
    await mkdir(copy.#place, { recursive: true });
    for (const { name, bytes } of files) {
      const made = await open(join(copy.#place, name), "w");
      await made.truncate(bytes);
      await made.close();
    }
    await written(join(folder, RECORD), JSON.stringify({ ...what, files }));
    await synced(copy.#place);
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

  /** Hashes anew what the journal says is here; what is not as it was is missing again, and the journal says so before more is fetched. */
  async check(
    parts: readonly CopiedPart[],
    signal: AbortSignal,
    sound: (part: CopiedPart) => void,
  ): Promise<void> {
    const bytes = new Uint8Array(COPIED_PART_BYTES);
    for (const part of parts) {
      signal.throwIfAborted();
      const hash = this.#here[part.file]?.get(part.offset);
      if (hash === undefined) continue;
      const handle = await this.#handle(part.file);
      const { bytesRead } = await handle.read(bytes, 0, part.length, part.offset);
      if ((await hashOfBytes(bytes.subarray(0, bytesRead))) === hash) {
        sound(part);
        continue;
      }
      this.#here[part.file]?.delete(part.offset);
      await this.#note([`${part.file} ${part.offset} ${GONE}`]);
    }
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

  /** Gives a model that is whole its place among the others; answers where it lies then. */
  async publish(models: string, name: string): Promise<string> {
    const folder = join(models, name);
    if (!/^[\w-][\w.-]*(\/[\w-][\w.-]*)?$/.test(name) || (await exists(folder))) return this.path;
    const path = this.path.replace(this.#place, folder);
    await mkdir(join(folder, ".."), { recursive: true });
    await rename(this.#place, folder);
    await synced(join(folder, ".."));
    await rm(this.#folder, { recursive: true, force: true });
    return path;
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

/** SHA-256 in hex; computed beside what this thread does. */
export const hashOfBytes = async (bytes: Uint8Array): Promise<string> =>
  Buffer.from(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>)).toString("hex");

/** A model of which parts are on this disk. */
export interface PartialModel {
  readonly model: string;
  readonly folder: string;
  /** That they take, holes left out. */
  readonly bytes: number;
}

export async function listPartial(models: string): Promise<readonly PartialModel[]> {
  const found: PartialModel[] = [];
  for (const entry of (await readdir(join(models, FOLDER)).catch(ifMissing)) ?? []) {
    const folder = join(models, FOLDER, entry);
    const model = (await readJsonFile(join(folder, RECORD)))?.model;
    if (typeof model === "string") found.push({ model, folder, bytes: await takenBy(join(folder, "files")) });
  }
  return found;
}

/** Deletes what is here of parts of that model, of all versions. */
export async function removePartial(models: string, model: string): Promise<void> {
  for (const each of await listPartial(models))
    if (each.model === model) await rm(each.folder, { recursive: true, force: true });
}

/** Of what `stat` counts in blocks. */
const BLOCK_BYTES = 512;

async function takenBy(folder: string): Promise<number> {
  const names = (await readdir(folder).catch(ifMissing)) ?? [];
  const blocks = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).blocks));
  return BLOCK_BYTES * blocks.reduce((sum, each) => sum + each, 0);
}

function folderOf(models: string, digest: string): string {
  if (!/^[0-9a-f]{64}$/.test(digest))
    throw new Problem("invalid", "a model's digest is 64 hexadecimal digits");
  return join(models, FOLDER, digest);
}

/** Another machine names the files: none lies outside of the model's folder, and none twice. */
function checkNames(files: readonly CopiedFile[]): void {
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

const exists = async (path: string): Promise<boolean> => (await readdir(path).catch(ifMissing)) !== undefined;
