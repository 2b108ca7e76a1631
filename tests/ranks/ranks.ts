/** Several ranks of a test at once, each a process, and what came of them. */
import type { RankArguments } from "./rank-process.ts";

export interface RankEnd {
  readonly lines: readonly string[];
  readonly code: number | null;
  readonly lastWords: string;
}

/** One rank each; `env` besides this process's own. */
export function startRanks(all: readonly RankArguments[], env: Readonly<Record<string, string>> = {}) {
  return all.map((each) => {
    const child = Bun.spawn([process.execPath, `${import.meta.dir}/rank-process.ts`, JSON.stringify(each)], {
      env: { ...process.env, ...env },
      stdout: "pipe",
      stderr: "pipe",
    });
    const ended = async (): Promise<RankEnd> => {
      const [out, words, code] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.exited,
      ]);
      return { lines: out.trim().split("\n"), code, lastWords: words.trim().split("\n").at(-1) ?? "" };
    };
    return { end: ended(), kill: () => child.kill("SIGKILL") };
  });
}
