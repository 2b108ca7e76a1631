/** What a build leaves, used as a user does: `dist/exo`, the newcomer's model, and servers of their own. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { compiled, environmentOf, exo, type Ran, type RunOptions } from "../cli/exo.ts";

/** A test here loads a model and answers some times; a machine that does other things too takes a while. */
export const TEST_MS_MAX = 120_000;

const root = resolve(import.meta.dir, "..", "..");

/** The binary's path; without one no test here can mean anything. */
export function binary(): string {
  const [path = ""] = compiled;
  if (existsSync(path)) return path;
  throw new Error("dist/exo does not exist: run `bun run build` first");
}

/** SmolLM2's GGUF file, as the build fetches it. */
export function smollm2File(): string {
  const folder = join(root, ".cache", "models", "smollm2");
  const name = existsSync(folder) ? readdirSync(folder).find((each) => each.endsWith(".gguf")) : undefined;
  if (name !== undefined) return join(folder, name);
  throw new Error(".cache/models/smollm2 holds no .gguf file: run `bun run build` first");
}

/** Runs the binary to its end. */
export const run = (args: readonly string[], options: Omit<RunOptions, "command">): Promise<Ran> =>
  exo(args, { ...options, command: [binary()] });

export interface Server extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  /** The parsed line that `--json` printed. */
  readonly ready: unknown;
  readonly exited: Promise<number>;
  /** What `exo ps` shows. */
  held(): Promise<readonly Held[]>;
  kill(signal: NodeJS.Signals): void;
}

export interface Held {
  readonly model: string;
  readonly path: string;
  readonly state: string;
  readonly pid: number;
  readonly requests: number;
  readonly idle?: boolean;
  readonly facts?: { readonly loadMs: number; readonly weightBytes: number };
  readonly stages?: readonly unknown[];
}

/** `exo serve`, ready; ended with its workers when the scope ends. */
export async function serving(home: string, args: readonly string[] = []): Promise<Server> {
  const child = Bun.spawn([binary(), "serve", "--port", "0", "--json", "--no-discovery", ...args], {
    env: environmentOf(home),
    cwd: home,
    stdout: "pipe",
    stderr: "pipe",
  });
  const line = await firstLine(child.stdout);
  if (line === undefined)
    throw new Error(`exo serve ended before it was ready: ${await new Response(child.stderr).text()}`);
  const ready: { readonly url: string } = JSON.parse(line);
  return {
    url: ready.url,
    pid: child.pid,
    ready,
    exited: child.exited,
    kill: (signal) => child.kill(signal),
    held: () => heldAt(ready.url),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

/** What `exo ps` shows at that server. */
export async function heldAt(url: string): Promise<readonly Held[]> {
  const answer = await fetch(`${url}/exo/v1/ps`);
  const { models }: { readonly models: readonly Held[] } = JSON.parse(await answer.text());
  return models;
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string | undefined> {
  const decoder = new TextDecoder();
  const reader = stream.getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) return undefined;
    text += decoder.decode(value, { stream: true });
  }
  return text.slice(0, text.indexOf("\n"));
}

/** What is waited for comes within this on a busy machine, or not at all. */
const PATIENCE_MS = 60_000;
const LOOK_EVERY_MS = 10;

/** Waits for a condition; `what` says in the failure which one never came. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  ms = PATIENCE_MS,
): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`within ${ms / 1000} s it never came: ${what}`);
    await Bun.sleep(LOOK_EVERY_MS);
  }
}

/** Whether the process is there and more than a name in the table: proc(5), `/proc/pid/stat`. */
export const isAlive = (pid: number): boolean => !["", "Z", "X"].includes(statOf(pid).state);

/** What proc(5) counts processor time in: a hundredth of a second on every Linux, whatever its kernel's own ticks are. */
const TICK_MS = 10;

/** Processor time that a process has used so far, of all the threads that it has and had: proc(5), `/proc/pid/stat`. */
export const usedMs = (pid: number): number => TICK_MS * statOf(pid).ticks;

/** The processes that this one started and that still are. */
export const childrenOf = (pid: number): readonly number[] =>
  readdirSync("/proc")
    .map(Number)
    .filter((each) => Number.isInteger(each) && statOf(each).parent === pid && isAlive(each));

interface Stat {
  readonly state: string;
  readonly parent: number;
  /** Spent in the program and in the system for it. */
  readonly ticks: number;
}

function statOf(pid: number): Stat {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state = "", parent = "0", ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // The first of `fields` is the fifth of the table there, utime the fourteenth and stime the one after it.
    return { state, parent: Number(parent), ticks: Number(fields[9]) + Number(fields[10]) };
  } catch {
    return { state: "", parent: 0, ticks: Number.NaN }; // it ended while the table was read.
  }
}

export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
