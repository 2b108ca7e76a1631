/** The native library on disk: embedded files written once into a private folder, checked, and used from there. */
import type { Stats } from "node:fs";
import { lstat, mkdir, open, readdir, rename, rm, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Problem } from "#protocol/problem";
import type { EmbeddedFile, EmbeddedLibrary } from "./build-facts.ts";
import { homeProblem } from "./home-problem.ts";

export interface UnpackOptions {
  /** EXO_HOME. */
  readonly home: string;
  /** Names temporary files, so that two at once do not meet. */
  readonly freshId: () => string;
  /** Now, in seconds since 1970. */
  readonly epochSeconds: () => number;
  /** Called before files are written, which takes a moment. */
  readonly unpacking?: () => void;
}

/** In the folder: what size and times each file had when its hash was last right. */
const STAMP = ".verified.json";

/** A library that no exo has loaded from for so long is removed when another version unpacks its own. */
const UNUSED_SECONDS = 30 * 86_400;

type Stamp = Readonly<Record<string, string>>;

/**
 * The folder that holds the library, made or mended if need be. A file is hashed once; after that its size and times
 * must be those of the stamp. Each file is written beside its place and renamed into it, so that two at once, or one
 * that is killed, leave either a whole file or none. Throws Problem: unsafe, unwritable or full folder.
 */
export async function unpack(library: EmbeddedLibrary, options: UnpackOptions): Promise<string> {
  const folder = join(options.home, "cache", "lib", library.hash);
  try {
    await privateFolder(options.home, folder);
    const stamp = await readStamp(folder);
    const found = await Promise.all(library.files.map((file) => statesOf(folder, file)));
    const right = library.files.every(
      ({ name }, index) => found[index] !== undefined && stamp[name] === found[index],
    );
    if (!right) {
      await mend(library, folder, stamp, options);
      await removeUnused(folder, options.epochSeconds());
    }
    await markUsed(folder, options.epochSeconds());
    return folder;
  } catch (error) {
    throw homeProblem(error, `the native library could not be unpacked to ${folder}`);
  }
}

/** Makes every file right, then the stamp. */
async function mend(
  library: EmbeddedLibrary,
  folder: string,
  stamp: Stamp,
  options: UnpackOptions,
): Promise<void> {
  await removeLeftovers(folder);
  let told = false;
  const states: Record<string, string> = {};
  for (const file of library.files) {
    const path = join(folder, file.name);
    const before = await statesOf(folder, file);
    const right =
      before !== undefined && (stamp[file.name] === before || (await sha256Of(path)) === file.sha256);
    if (!right) {
      if (!told) options.unpacking?.();
      told = true;
      await write(file, folder, options.freshId());
    }
    states[file.name] = (await statesOf(folder, file)) ?? "";
  }
  const temporary = temporaryIn(folder, options.freshId());
  await Bun.write(temporary, JSON.stringify(states), { mode: 0o600 });
  await rename(temporary, join(folder, STAMP));
}

/** The stamp's time says when the folder was last used; where nothing may be written, nothing is removed either. */
const markUsed = (folder: string, nowSeconds: number): Promise<void> =>
  utimes(join(folder, STAMP), nowSeconds, nowSeconds).catch(ifClosed);

/**
 * Folders beside this one that have not been used for long. One that runs keeps what it has mapped, and unpacks anew when
 * it next starts a worker; one that is just being unpacked is too young.
 */
async function removeUnused(folder: string, nowSeconds: number): Promise<void> {
  const all = dirname(folder);
  for (const name of await readdir(all)) {
    const other = join(all, name);
    const used = await Promise.all([statOf(other), statOf(join(other, STAMP))]);
    const lastUsedMs = Math.max(...used.map((found) => found?.mtimeMs ?? 0));
    if (other === folder || nowSeconds - lastUsedMs / 1000 < UNUSED_SECONDS) continue;
    await rm(other, { recursive: true, force: true }).catch(ifClosed); // what stays only takes room
  }
}

async function write(file: EmbeddedFile, folder: string, id: string): Promise<void> {
  const temporary = temporaryIn(folder, id);
  try {
    await Bun.write(temporary, Bun.file(file.source), { mode: 0o600 });
    const sum = await sha256Of(temporary);
    if (sum !== file.sha256) {
      const written = Bun.file(temporary).size;
      if (written < file.bytes)
        throw Object.assign(new Error(`${file.name} was cut short`), { code: "ENOSPC" });
      const remedy = "the exo program itself is damaged: fetch or build it again";
      throw new Problem("internal", `${file.name} does not have the hash it was built with`, { remedy });
    }
    await sync(temporary);
    await rename(temporary, join(folder, file.name));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** So that a crash right after the rename cannot leave an empty file behind a good name. */
async function sync(path: string): Promise<void> {
  const handle = await open(path, "r+");
  await handle.sync().finally(() => handle.close());
}

async function sha256Of(path: string): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  for await (const chunk of Bun.file(path).stream()) hash.update(chunk);
  return hash.digest("hex");
}

/** Size, owner and times as one text; undefined unless it is a plain file of ours of the right size. */
async function statesOf(folder: string, file: EmbeddedFile): Promise<string | undefined> {
  const found = await statOf(join(folder, file.name));
  if (!found?.isFile() || found.size !== file.bytes || isForeign(found) || (found.mode & 0o022) !== 0)
    return undefined;
  return `${found.size} ${found.mtimeMs} ${found.ctimeMs}`;
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function readStamp(folder: string): Promise<Stamp> {
  try {
    return await Bun.file(join(folder, STAMP)).json();
  } catch {
    return {}; // absent or cut short: every file is hashed again, which answers the same question.
  }
}

/** Libraries are code: nobody else may be able to put a file where they are loaded from. */
async function privateFolder(home: string, folder: string): Promise<void> {
  await mkdir(home, { recursive: true, mode: 0o700 });
  const cache = join(home, "cache");
  for (const each of [home, cache, join(cache, "lib"), folder]) {
    if (each !== home) await mkdir(each, { mode: 0o700 }).catch(ifThere);
    const found = await lstat(each);
    if (each !== home && !found.isDirectory()) {
      throw new Problem("internal", `${each} is not a folder`, {
        remedy: "move it away, or set EXO_HOME to another folder",
      });
    }
    if (isForeign(found)) {
      const remedy = "set EXO_HOME to a folder of your own";
      throw new Problem("internal", `${each} belongs to another user, who could change what exo loads`, {
        remedy,
      });
    }
    const sticky = (found.mode & 0o1000) !== 0;
    if (!found.isSymbolicLink() && (found.mode & 0o002) !== 0 && !sticky) {
      const remedy = `run: chmod go-w '${each}'`;
      throw new Problem("internal", `everyone may write to ${each}, so anyone could change what exo loads`, {
        remedy,
      });
    }
  }
}

const isForeign = (found: Stats): boolean => process.getuid !== undefined && found.uid !== process.getuid();

const codeOf = (error: unknown): unknown =>
  error instanceof Error && "code" in error ? error.code : undefined;

function ifClosed(error: unknown): void {
  if (!["EACCES", "EPERM", "EROFS", "EBUSY"].includes(String(codeOf(error)))) throw error;
}

function ifThere(error: unknown): void {
  if (codeOf(error) !== "EEXIST") throw error;
}

/** Of processes that were killed while they unpacked; a living one's are left to it. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = /^\.tmp-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(folder, name), { force: true });
  }
}

/** Signal 0 only asks; another user's process is there but refuses to be asked. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

const temporaryIn = (folder: string, id: string): string => join(folder, `.tmp-${process.pid}-${id}`);
