/** What was typed before, on this machine: one JSON text a line, because a message may have several. */
import { appendFile, mkdir, rename } from "node:fs/promises";
import { dirname } from "node:path";

/** Older ones are forgotten. */
const KEPT = 1000;
/** One pasted book is not worth remembering. */
const LONGEST = 100_000;

export interface History {
  readonly entries: readonly string[];
  add(text: string): Promise<void>;
}

/** `path` absent: nothing is kept beyond this chat. A file that cannot be written is no reason not to chat. */
export async function openHistory(path: string | undefined): Promise<History> {
  const entries: string[] = path === undefined ? [] : await read(path);
  return {
    entries,
    async add(text) {
      if (text.trim() === "" || entries.at(-1) === text || text.length > LONGEST) return;
      entries.push(text);
      if (path !== undefined) await append(path, text).catch(() => {});
    },
  };
}

async function read(path: string): Promise<string[]> {
  const text = await Bun.file(path)
    .text()
    .catch(() => "");
  const lines = text.split("\n").filter((line) => line !== "");
  const entries = lines.slice(-KEPT).flatMap(parsed);
  if (lines.length > 2 * KEPT) await shorten(path, entries).catch(() => {});
  return entries;
}

function parsed(line: string): readonly string[] {
  try {
    const entry: unknown = JSON.parse(line);
    return typeof entry === "string" ? [entry] : [];
  } catch {
    return []; // a line cut short by a crash.
  }
}

async function append(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await appendFile(path, `${JSON.stringify(text)}\n`, { mode: 0o600 });
}

async function shorten(path: string, entries: readonly string[]): Promise<void> {
  const temporary = `${path}.${process.pid}`;
  await Bun.write(temporary, entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""), { mode: 0o600 });
  await rename(temporary, path);
}
