/** Keys of the HTTP API on disk: a file for each, of its hash alone, readable by its owner alone. */
import { randomBytes } from "node:crypto";
import { closeSync, existsSync, fstatSync, openSync, readFileSync, statSync } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import type { KeyBook } from "#actors/api-gateway/ports";
import { ApiKey, apiKeyText, type Scope } from "#protocol/api-key";
import { Problem } from "#protocol/problem";
import { homeProblem } from "./home-problem.ts";
import { filled, refuseMode } from "./own-files.ts";

/** More keys than a home has programs. */
const KEYS_MAX = 1024;
const SECRET_BYTES = 32;
const LETTERS = "abcdefghijklmnopqrstuvwxyz234567";
const ID_LETTERS = 8;
const ID = /^[a-z2-7]{8}$/;

const check = TypeCompiler.Compile(ApiKey);

const folderOf = (home: string): string => join(home, "keys");
const pathOf = (home: string, id: string): string => join(folderOf(home), `${id}.json`);

export interface FreshKey {
  readonly key: ApiKey;
  /** What clients send; it is nowhere kept. */
  readonly text: string;
}

/** Makes a key. Throws Problem: too many, the home cannot be written, or its keys are open to others. */
export async function createKey(
  home: string,
  { name, scopes, nowSeconds }: { name: string; scopes: readonly Scope[]; nowSeconds: number },
): Promise<FreshKey> {
  const folder = folderOf(home);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    refuseMode(folder, (await stat(folder)).mode, "700");
    if ((await readdir(folder)).length >= KEYS_MAX)
      throw new Problem("overloaded", `there are ${KEYS_MAX} keys already`, {
        remedy: "exo key revoke NAME",
      });
    const fresh = freshKey(name, scopes, nowSeconds);
    await write(pathOf(home, fresh.key.id), `${JSON.stringify(fresh.key)}\n`);
    return fresh;
  } catch (error) {
    throw homeProblem(error, `${folder}, where the keys are kept, could not be written`);
  }
}

function freshKey(name: string, scopes: readonly Scope[], nowSeconds: number): FreshKey {
  const id = [...randomBytes(ID_LETTERS)].map((byte) => LETTERS[byte % LETTERS.length]).join("");
  const text = apiKeyText(id, randomBytes(SECRET_BYTES));
  const hash = new Bun.CryptoHasher("sha256").update(text).digest("hex");
  return { key: { id, name, hash, scopes: [...new Set(scopes)], createdAt: nowSeconds }, text };
}

/** Whole or not at all, also when the power fails. */
async function write(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  await filled(await open(temporary, "wx", 0o600), temporary, text);
  await rename(temporary, path);
}

/** All keys, oldest first. Throws Problem when they are open to others. */
export async function listKeys(home: string): Promise<readonly ApiKey[]> {
  const names = await readdir(folderOf(home)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw homeProblem(error, `${folderOf(home)}, where the keys are kept, could not be read`);
  });
  const ids = names
    .filter((name) => name.endsWith(".json"))
    .map((name) => name.slice(0, -".json".length))
    .filter((id) => ID.test(id));
  const { find } = keyBook(home);
  return ids
    .flatMap((id) => find(id) ?? [])
    .sort((a, b) => a.createdAt - b.createdAt || a.name.localeCompare(b.name));
}

/** Whether there is a key of that id, be it damaged. */
export const isKept = (home: string, id: string): boolean => ID.test(id) && existsSync(pathOf(home, id));

/** From then on the key is none, also in an exo that runs. */
export async function revokeKey(home: string, id: string): Promise<void> {
  await rm(pathOf(home, id), { force: true }).catch((error: unknown) => {
    throw homeProblem(error, `${pathOf(home, id)} could not be removed`);
  });
}

/** The keys that are good now; nothing is remembered between two calls, so that a change counts at once. */
export const keyBook = (home: string): KeyBook => ({ find: (id) => read(home, id) });

function read(home: string, id: string): ApiKey | undefined {
  const path = pathOf(home, id);
  const text = readOwn(path, folderOf(home));
  if (text === undefined) return undefined;
  const key = parsed(text);
  if (check.Check(key) && key.id === id) return key;
  throw new Problem("invalid", `${path} is damaged`, { remedy: `exo key revoke ${id}, and make another` });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // then it is no key.
  }
}

/** Synchronous: a few microseconds, where a promise would let a request pass between the question and the answer. */
function readOwn(path: string, folder: string): string | undefined {
  let file: number;
  try {
    refuseMode(folder, statSync(folder).mode, "700");
    file = openSync(path, "r");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw homeProblem(error, `${path} could not be read`);
  }
  try {
    refuseMode(path, fstatSync(file).mode, "600");
    return readFileSync(file, "utf8");
  } finally {
    closeSync(file);
  }
}
