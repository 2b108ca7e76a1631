/**
 * Tests on every instruction set that this processor has, in a process each: the library chooses its kernels once.
 * Run: bun tests/kernels/paths.ts [file ..]   without files: everything that computes with the kernels
 */
import { resolve } from "node:path";
import { kernelPaths } from "#mlx-c/test";
import { hostPlatform } from "#mlx-c/toolchain";

const root = resolve(import.meta.dir, "../..");
const everything = ["ffi", "tests/parity", "actors/shard-worker"];
/** Opens the library, which says what is wrong with the setting. */
const probe = 'import("#ffi/built-library").then((built) => built.builtMlx())';

interface Ran {
  readonly passed: boolean;
  readonly output: string;
}

async function bun(told: readonly string[], set: string): Promise<Ran> {
  const child = Bun.spawn([process.execPath, ...told], {
    cwd: root,
    env: { ...process.env, EXO_CPU_KERNELS: set },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { passed: (await child.exited) === 0, output: `${out}${err}` };
}

/** The sets that this processor has, best first. */
export async function usableSets(): Promise<readonly string[]> {
  const tried = await Promise.all(
    kernelPaths[hostPlatform()].map(async (set) => ({ set, ...(await bun(["-e", probe], set)) })),
  );
  const other = tried.find(({ passed, output }) => !passed && !output.includes("EXO_CPU_KERNELS"));
  if (other) throw new Error(`the library does not open with ${other.set}:\n${other.output}`);
  return tried.filter(({ passed }) => passed).map(({ set }) => set);
}

/** What the test runner prints for these files with the kernels of `set`. */
export const testsOn = (set: string, files: readonly string[]): Promise<Ran> =>
  bun(["test", "--timeout", "60000", ...files], set);

if (import.meta.main) {
  const files = Bun.argv.slice(2);
  for (const set of await usableSets()) {
    const { passed, output } = await testsOn(set, files.length > 0 ? files : everything);
    const counts = output.split("\n").filter((line) => /^ *\d+ (pass|fail|skip)$|^Ran /.test(line));
    process.stdout.write(passed ? `${set}: ${counts.map((line) => line.trim()).join(", ")}\n` : output);
    if (!passed) process.exitCode = 1;
  }
}
