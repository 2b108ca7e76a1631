/** From the command to the first words of an answer, by the compiled binary, new, cold and warm. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { modelFile, root } from "../models.ts";
import { atMost, extentOf, type Figure, type Goal, type Series } from "./figure.ts";
import type { Outcome, Part, Settings } from "./part.ts";
import { inTurns, type Measure, type Task } from "./rounds.ts";

const QUESTION = "What is the capital of France?";
const binary = join(root, "dist", "exo");

export const start: Part = {
  name: "start",
  about: "exo run smollm2 to its first words: newly installed, not in memory, and a second time",
  grandchildren: true,
  run: measured,
};

async function measured({ rounds, log }: Settings): Promise<Outcome> {
  if (!existsSync(binary)) throw new Error(`${binary} is not there: run \`bun run build\` first`);
  const model = await modelFile("smollm2");
  const home = mkdtempSync(join(root, ".cache", "bench", "home-"));
  const files = () => [binary, model, ...librariesOf(home)];
  let left = 0;
  const dropped = () => {
    left = Math.max(left, dropFromMemory(files()));
  };
  const port = await freePort();
  const first = () => firstWordsMs(home, port);
  try {
    await first();
    const tasks = [
      taskAfter("new", first, () => {
        dropped();
        rmSync(home, { recursive: true });
      }),
      taskAfter("cold", first, dropped),
      taskAfter("again", first, first),
    ];
    const taken = await inTurns(tasks, rounds, (round) => log(`round ${round} of ${rounds}`));
    const series = tasks.map(
      ({ name }): Series => ({ of: `exo run smollm2, ${name}`, unit: "ms", values: taken.get(name) ?? [] }),
    );
    const [fresh, cold, again] = series;
    const told = "exo run smollm2 to its first words";
    return {
      series,
      figures: [
        figureOf(`${told}, newly installed, files not in memory`, fresh, atMost(0.8)),
        figureOf(`${told}, files not in memory`, cold, atMost(0.8)),
        figureOf(`${told}, second time`, again, atMost(0.5)),
      ],
      notes: [memoryNote(left), `binary: ${versionOf()}`],
      versions: {},
    };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** Times `run` alone; `before` brings the machine into the state it is to be timed in. */
const taskAfter = (name: string, run: Measure, before: () => unknown): Task => ({
  name,
  measure: async () => {
    await before();
    return await run();
  },
});

function figureOf(measure: string, series: Series | undefined, goal: Goal): Figure {
  const { of, values } = series ?? { of: "", values: [] };
  return { measure, extent: extentOf(values.map((ms) => ms / 1000)), unit: "s", from: [of], goal };
}

/** On a pipe, where the words come as a terminal's would. No daemon answers in its stead: the port is a free one. */
async function firstWordsMs(home: string, port: number): Promise<number> {
  const { EXO_HOST: _, EXO_MODELS: __, ...env } = process.env;
  const startMs = performance.now();
  const child = Bun.spawn([binary, "run", "smollm2", QUESTION], {
    cwd: root,
    env: { ...env, EXO_HOME: home, EXO_PORT: String(port) },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const reader = child.stdout.getReader();
  const { done } = await reader.read();
  const firstMs = performance.now() - startMs;
  while (!(await reader.read()).done);
  const code = await child.exited;
  if (done || code !== 0)
    throw new Error(`exo run ended with ${code}: ${await new Response(child.stderr).text()}`);
  return firstMs;
}

function librariesOf(home: string): readonly string[] {
  if (!existsSync(home)) return [];
  const entries = readdirSync(home, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}

/** Asks the system to forget the files, and returns how many of their bytes it holds nevertheless; NaN: it will not say. */
function dropFromMemory(files: readonly string[]): number {
  Bun.spawnSync(["sync", ...files]);
  for (const file of files) {
    const { exitCode } = Bun.spawnSync(["dd", `if=${file}`, "iflag=nocache", "count=0", "status=none"]);
    if (exitCode !== 0) return Number.NaN;
  }
  const told = Bun.spawnSync(["fincore", "--bytes", "--noheadings", "--output", "RES", ...files]);
  if (told.exitCode !== 0) return Number.NaN;
  return told.stdout
    .toString()
    .split("\n")
    .reduce((sum, line) => sum + Number(line), 0);
}

const memoryNote = (left: number): string =>
  Number.isNaN(left)
    ? "this system does not let files be dropped from memory, so no run is truly cold"
    : `files dropped from the page cache before the first two, ${(left / 1e6).toFixed(0)} MB of them stayed`;

const versionOf = (): string =>
  Bun.spawnSync([binary, "version"]).stdout.toString().trim().split("\n")[0] ?? "";

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("the system gave no port");
  return address.port;
}
