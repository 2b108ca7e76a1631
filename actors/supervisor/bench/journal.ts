/** What is measured already, on disk line by line: `--resume` goes on from it, and a crash loses one run at most. */
import { appendFile, link, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { Problem } from "#protocol/problem";
import { isAlive } from "../daemon/daemon.ts";
import { unwritable, writeWhole } from "./files.ts";
import type { Measured } from "./measure.ts";

export interface Journal {
  /** By cell, in the order measured. */
  readonly measured: ReadonlyMap<string, readonly Measured[]>;
  has(key: string, repeat: number): boolean;
  /** Rejects where the disk takes it no longer; what is in memory is kept all the same. */
  add(key: string, repeat: number, measured: readonly Measured[]): Promise<void>;
  /** The report is written: nothing is left to go on from. */
  done(): Promise<void>;
  /** Another benchmark may use the name now. */
  release(): Promise<void>;
}

export interface OpenedJournal {
  readonly journal: Journal;
  /** `other`: there was one of another config, which is not gone on from. Else the runs that are measured already. */
  readonly found: "nothing" | "other" | number;
  /** Where a journal that is not gone on from was put aside. */
  readonly aside?: string;
}

const SCHEMA = "exo.bench.journal/1";

interface Line {
  readonly key: string;
  readonly repeat: number;
  readonly measured: readonly Measured[];
}

/** Throws Problem: the folder cannot be written, or another benchmark of this name is at work. */
export async function openJournal(
  path: string,
  { configHash, resume }: { configHash: string; resume: boolean },
): Promise<OpenedJournal> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await lock(`${path}.lock`);
  } catch (error) {
    throw error instanceof Problem ? error : unwritable(`${dirname(path)} cannot be written`, error);
  }
  try {
    const before = await linesOf(path, configHash);
    const lines = resume ? before.lines : [];
    const isLeft = before.count > 0 && (!resume || before.isOther);
    const aside = isLeft ? `${path}.old` : undefined;
    if (aside !== undefined) await rename(path, aside);
    await rewrite(path, configHash, lines);
    const found = resume && before.isOther ? "other" : lines.length === 0 ? "nothing" : lines.length;
    return { journal: journalOf(path, lines), found, ...(aside !== undefined && { aside }) };
  } catch (error) {
    await rm(`${path}.lock`, { force: true });
    throw unwritable(`${dirname(path)} cannot be written`, error);
  }
}

function journalOf(path: string, lines: readonly Line[]): Journal {
  const measured = new Map<string, Measured[]>();
  const done = new Set<string>();
  const note = ({ key, repeat, measured: more }: Line) => {
    measured.set(key, [...(measured.get(key) ?? []), ...more]);
    done.add(`${repeat} ${key}`);
  };
  for (const line of lines) note(line);
  return {
    measured,
    has: (key, repeat) => done.has(`${repeat} ${key}`),
    async add(key, repeat, more) {
      const line: Line = { key, repeat, measured: more };
      note(line);
      // The newline first: half a line of a full disk spoils nothing that comes after it.
      await appendFile(path, `\n${JSON.stringify(line)}`);
    },
    done: () => rm(path, { force: true }),
    async release() {
      if (done.size === 0) await rm(path, { force: true });
      await rm(`${path}.lock`, { force: true });
    },
  };
}

const rewrite = (path: string, configHash: string, lines: readonly Line[]): Promise<void> =>
  writeWhole(path, [{ schema: SCHEMA, configHash }, ...lines].map((line) => JSON.stringify(line)).join("\n"));

/** Two benchmarks at once would measure each other, and write over one another's journal. */
async function lock(path: string): Promise<void> {
  for (const isLast of [false, true]) {
    try {
      return await takeName(path);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
      const pid = Number(await Bun.file(path).text());
      if (isLast || (pid > 0 && pid !== process.pid && isAlive(pid)))
        throw new Problem(
          "unavailable",
          `another exo bench (process ${pid}) is at work in ${dirname(path)}`,
          {
            remedy: `wait for it, or choose another folder with --out; if it is none, remove ${path}`,
          },
        );
      await rm(path, { force: true }); // left behind by one that was killed.
    }
  }
}

/** The lock says whose it is from its first moment: an empty one would look like one that was left behind. */
async function takeName(path: string): Promise<void> {
  const temporary = `${path}.${process.pid}`;
  try {
    await writeFile(temporary, String(process.pid));
    await link(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** `count`: of all runs noted, whichever config they are of; `lines`: of this one. */
async function linesOf(
  path: string,
  configHash: string,
): Promise<{ count: number; lines: readonly Line[]; isOther: boolean }> {
  const file = Bun.file(path);
  if (!(await file.exists())) return { count: 0, lines: [], isOther: false };
  const [head, ...rest] = (await file.text()).split("\n").flatMap(parsed);
  const { schema, configHash: of } = (head ?? {}) as { schema?: string; configHash?: string };
  const isOther = schema !== SCHEMA || of !== configHash;
  return { count: rest.length, lines: isOther ? [] : rest.filter(isLine), isOther };
}

const isLine = (value: unknown): value is Line => {
  const { key, repeat, measured } = (value ?? {}) as Partial<Line>;
  return typeof key === "string" && Number.isInteger(repeat) && Array.isArray(measured);
};

/** The last line may be half a one, of a process that was killed. */
function parsed(line: string): unknown[] {
  try {
    return [JSON.parse(line)];
  } catch {
    return [];
  }
}
