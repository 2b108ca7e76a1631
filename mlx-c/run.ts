/** Runs other people's tools for the build: quiet when they work, their own words when they do not. */
import { mkdirSync, statfsSync } from "node:fs";
import { join, resolve } from "node:path";

export const root = resolve(import.meta.dir, "..");
export const cache = join(root, ".cache");

/** A failure that the person at the keyboard can act on. */
export class BuildError extends Error {
  override readonly name = "BuildError";
}

/** Nothing a build calls takes longer on a slow machine; a hung download or compiler ends here. */
const COMMAND_LIMIT_MS = 15 * 60_000;
/** Enough of a tool's words to see what is wrong, and not its whole log. */
const WORDS_CHARS = 4_000;

interface Run {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Said when the tool is not there at all. */
  readonly missing?: string;
}

/** stdout and stderr together. Throws BuildError with the tool's words and, where we know it, what to do. */
export async function run(
  command: readonly string[],
  { cwd = root, env = {}, missing }: Run = {},
): Promise<string> {
  const [tool = ""] = command;
  if (!Bun.which(tool)) throw new BuildError(missing ?? `${tool} is not installed or not on PATH`);
  const started = Bun.spawn([...command], {
    cwd,
    env: { ...process.env, LC_ALL: "C", ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: COMMAND_LIMIT_MS,
  });
  const [out, err] = await Promise.all([started.stdout.text(), started.stderr.text()]);
  const code = await started.exited;
  const words = `${out}${err}`;
  if (code === 0) return words;
  const how = started.signalCode ? `was ended by ${started.signalCode}` : `ended with code ${code}`;
  const advice = remedy(words);
  throw new BuildError(
    `${command.slice(0, 4).join(" ")} … ${how}\n${telling(words)}${advice ? `\n→ ${advice}` : ""}`,
  );
}

/** From the first line that speaks of an error; a tool that names none is heard from its end. */
function telling(words: string): string {
  const first = words.search(/^.*\b(error|FAILED)\b.*$/im);
  return (first < 0 ? words.slice(-WORDS_CHARS) : words.slice(first, first + WORDS_CHARS)).trim();
}

const remedies: readonly (readonly [RegExp, string])[] = [
  [/No space left on device|ENOSPC/i, "the disk is full: free about 1 GB and run the same command again"],
  [
    /DO NOT MATCH THE HASHES|checksum .*(mismatch|changed)|does not match/i,
    "what was received is not what is pinned in mlx-c/pins.ts: a broken mirror or proxy; nothing of it was used",
  ],
  [/No module named pip/, "this Python has no pip: install it (Debian: apt-get install python3-pip)"],
  [
    /Could not resolve host|Name or service not known|Temporary failure in name resolution|NewConnectionError|ProxyError|Failed to connect|Connection refused|timed out|ConnectTimeout|ReadTimeout|spurious network error|Network is unreachable|Max retries/i,
    "the package registry could not be reached: check the network and proxy settings, then run the same command again",
  ],
  [
    /No matching distribution found/,
    "the package registry could not be reached, or the one this machine uses does not offer that file: check the network, the proxy and pip's index settings, then run the same command again",
  ],
  [
    /unrecognized command.line option '-std=c\+\+20'|invalid value 'c\+\+20'/,
    "the compiler does not know C++20: install g++ 12 or clang 15 or newer, or name one in CXX",
  ],
  [
    /Killed signal terminated program|cc1plus.*out of memory|cannot allocate memory/i,
    "the machine ran out of memory: close something, or set EXO_BUILD_JOBS=1",
  ],
];

/** What to do about words like these, where we know it. */
export const remedy = (words: string): string | undefined => remedies.find(([sign]) => sign.test(words))?.[1];

/** Prints a line when a step begins and one when it has ended, on stderr. */
export async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  process.stderr.write(`exo: ${what}\n`);
  const result = await work();
  process.stderr.write(`exo: ${what}: done in ${((performance.now() - start) / 1000).toFixed(1)} s\n`);
  return result;
}

/** A build needs room for downloads, their contents and object files; better to say so before it starts. */
export function requireDisk(megabytes: number): void {
  mkdirSync(cache, { recursive: true });
  const { bavail, bsize } = statfsSync(cache);
  const free = Math.floor((bavail * bsize) / 1e6);
  if (free < megabytes) {
    throw new BuildError(
      `${cache} has ${free} MB free and the build needs ${megabytes} MB: free some space and run again`,
    );
  }
}

/** Ends the process with a readable message where the failure is not a bug of ours. */
export async function main(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const expected = error instanceof BuildError || (error instanceof Error && "code" in error);
    process.stderr.write(`exo: ${expected ? error.message : Bun.inspect(error)}\n`);
    process.exit(1);
  }
}
