/** How much of the plain read rate of memory decoding reaches: both with as many threads, by turns. */
import { existsSync, mkdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { hostPlatform, toolchainFor } from "#mlx-c/toolchain";
import { benchCache, randomShape } from "../models.ts";
import { decodedBytes } from "../peers-weights.ts";
import { bestOf, type Figure, type Goal, ratioFigure, type Series } from "./figure.ts";
import type { Outcome, Part, Settings } from "./part.ts";
import { inTurns, type Task } from "./rounds.ts";
import { promptOf, taskOf, versionsOf, type Work, warm, withSides } from "./sides.ts";
import { decodeMs } from "./timing.ts";

const [PROMPT, ANSWER, SPARE_TOKENS] = [64, 64, 64];
/** A read of that many passes is as good as its best: the others were disturbed. */
const PASSES = 8;

export interface Bandwidth {
  readonly name: string;
  readonly model: string;
  readonly shown: string;
  readonly goal?: Goal;
}

export const bandwidth = (wanted: Bandwidth): Part => ({
  name: wanted.name,
  about: `weight bytes per second while decoding ${wanted.shown}, of a plain read of memory with as many threads`,
  run: (settings) => compared(wanted, settings),
});

async function compared(wanted: Bandwidth, { threads, rounds, log }: Settings): Promise<Outcome> {
  const { model, shown, goal } = wanted;
  const { shape, packing } = randomShape(model);
  const bytes = decodedBytes(shape, packing);
  await using plain = openMemory(bytes, "plain");
  await using huge = openMemory(bytes, "huge");
  const context = PROMPT + ANSWER + SPARE_TOKENS;
  return await withSides({ model, sides: ["exo"], threads, context }, async (sides) => {
    await warm(sides, decoding("warm"));
    const tasks = sides.flatMap((side) => [
      { ...taskOf(side, decoding("decode")), name: `decode ${side.threads}` },
      readTask("read", plain, side.threads),
      readTask("huge read", huge, side.threads),
    ]);
    await inTurns(tasks, 1);
    const taken = await inTurns(tasks, rounds, (round) => log(`round ${round} of ${rounds}`));
    const rates = (of: string, task: string, count: number): Series => ({
      of,
      unit: "GB/s",
      threads: count,
      values: (taken.get(`${task} ${count}`) ?? []).map((ms) => bytes / ms / 1e6),
    });
    const rows = sides.map(({ threads: count }) => ({
      decode: rates(`exo, weights of ${shown}`, "decode", count),
      plain: rates("plain read of memory", "read", count),
      huge: rates("plain read of memory in huge pages", "huge read", count),
    }));
    return {
      series: rows.flatMap(({ decode, plain, huge }) => [decode, plain, huge]),
      figures: figuresOf(shown, rows, goal),
      notes: [
        `${(bytes / 1e6).toFixed(0)} MB of weights per token, as the file holds them; the plain read is of as many, the best of ${PASSES} passes`,
      ],
      versions: versionsOf(sides),
    };
  });
}

interface Rates {
  readonly decode: Series;
  readonly plain: Series;
  readonly huge: Series;
}

/** The goal is for the number of threads that decodes fastest, in pages as everyone gets them; the rest is told. */
function figuresOf(shown: string, rows: readonly Rates[], goal?: Goal): readonly Figure[] {
  const told = (over: string, { threads = 0 }: Series) =>
    `weights read while decoding / ${over}, ${shown}, ${threads} thr`;
  const fastest = bestOf(rows.map(({ decode }) => decode));
  return rows.flatMap(({ decode, plain, huge }) => [
    ratioFigure(told("plain read", decode), decode, plain, decode === fastest ? goal : undefined),
    ratioFigure(told("plain read in huge pages", decode), decode, huge),
  ]);
}

const decoding = (what: string): Work => ({
  what,
  ask: (random) => ({ prompts: [promptOf(PROMPT, random)], output: ANSWER }),
  read: decodeMs,
});

const readTask = (name: string, memory: Memory, threads: number): Task => ({
  name: `${name} ${threads}`,
  measure: () => memory.readMs(threads),
});

interface Memory extends AsyncDisposable {
  /** Milliseconds that one reading of the block takes. */
  readMs(threads: number): Promise<number>;
}

function openMemory(bytes: number, pages: "plain" | "huge"): Memory {
  const child = Bun.spawn([builtReader(), String(bytes), ...(pages === "huge" ? [pages] : [])], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const answers = child.stdout.getReader();
  const decoder = new TextDecoder();
  return {
    async readMs(threads) {
      child.stdin.write(`${threads} ${PASSES}\n`);
      child.stdin.flush();
      // An answer is one short line, which a pipe keeps together.
      const { value } = await answers.read();
      const { ms }: { ms: number } = JSON.parse(decoder.decode(value));
      return ms;
    },
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.exited;
    },
  };
}

/** Compiled for this very processor, again whenever its source is newer. */
function builtReader(): string {
  const source = resolve(import.meta.dir, "memory-read.cpp");
  const program = join(benchCache, "memory-read");
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return program;
  mkdirSync(benchCache, { recursive: true });
  const { compiler } = toolchainFor(hostPlatform());
  const command = [compiler, "-std=c++20", "-O3", "-march=native", "-pthread", source, "-o", program];
  const { exitCode, stderr } = Bun.spawnSync(command, { stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")} failed with ${exitCode}: ${stderr}`);
  return program;
}
