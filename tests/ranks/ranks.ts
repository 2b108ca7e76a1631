/** Several ranks of a test at once, each a process, and what came of them. */
import type { RankArguments } from "./rank-process.ts";

export interface RankEnd {
  readonly lines: readonly string[];
  readonly code: number | null;
  readonly lastWords: string;
}

/** A port of this machine that was free a moment ago. */
export function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
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
