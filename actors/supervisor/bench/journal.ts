/** What is measured already, on disk line by line: `--resume` goes on from it, and a crash loses one run at most. */
import { appendFile, mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { Measured } from "./measure.ts";

export interface Journal {
  /** By cell, in the order measured. */
  readonly measured: ReadonlyMap<string, readonly Measured[]>;
  has(key: string, repeat: number): boolean;
  add(key: string, repeat: number, measured: readonly Measured[]): Promise<void>;
  /** The report is written: nothing is left to go on from. */
  done(): Promise<void>;
}

const SCHEMA = "exo.bench.journal/1";

interface Line {
  readonly key: string;
  readonly repeat: number;
  readonly measured: readonly Measured[];
}

/** A journal of another config is not gone on from: `isOther` says so, and it is begun anew. */
export async function openJournal(
  path: string,
  { configHash, resume }: { configHash: string; resume: boolean },
): Promise<{ journal: Journal; found: "nothing" | "other" | number }> {
  const { lines, isOther } = resume ? await linesOf(path, configHash) : { lines: [], isOther: false };
  const measured = new Map<string, Measured[]>();
  const done = new Set<string>();
  const note = ({ key, repeat, measured: more }: Line) => {
    measured.set(key, [...(measured.get(key) ?? []), ...more]);
    done.add(`${repeat} ${key}`);
  };
  for (const line of lines) note(line);
  await mkdir(dirname(path), { recursive: true });
  const head = JSON.stringify({ schema: SCHEMA, configHash });
  await Bun.write(path, [head, ...lines.map((line) => JSON.stringify(line)), ""].join("\n"));
  const journal: Journal = {
    measured,
    has: (key, repeat) => done.has(`${repeat} ${key}`),
    async add(key, repeat, more) {
      const line: Line = { key, repeat, measured: more };
      note(line);
      await appendFile(path, `${JSON.stringify(line)}\n`);
    },
    done: () => rm(path, { force: true }),
  };
  return { journal, found: isOther ? "other" : lines.length === 0 ? "nothing" : lines.length };
}

async function linesOf(path: string, configHash: string): Promise<{ lines: Line[]; isOther: boolean }> {
  const file = Bun.file(path);
  if (!(await file.exists())) return { lines: [], isOther: false };
  const [head, ...rest] = (await file.text()).split("\n").flatMap(parsed);
  const { schema, configHash: of } = (head ?? {}) as { schema?: string; configHash?: string };
  if (schema !== SCHEMA || of !== configHash) return { lines: [], isOther: true };
  return { lines: rest as Line[], isOther: false };
}

/** The last line may be half a one, of a process that was killed. */
function parsed(line: string): unknown[] {
  try {
    return [JSON.parse(line)];
  } catch {
    return [];
  }
}
