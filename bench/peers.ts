/**
 * exo, llama.cpp and stock MLX on the same weights and machine, at engine level: token ids in, greedy token ids out, no
 * HTTP. Every round runs each side once, in turning order; the ratios are of runs of one round, so that a slow minute
 * hits both. Each side is tried with every number of threads asked for and compared at its best.
 *
 *   bun bench/peers.ts [smollm2] [1b-q4_0] [1b-q4_1] [moe-q4_0] [--prompts 512] [--output 64] [--rounds 5] [--threads 1,2]
 *                      [--sides exo,llama.cpp,mlx-lm] [--out FILE.json]
 *
 * Measures prefill (until the first token) and decode (from it to the last). Not measured: HTTP, several streams,
 * memory. What llama.cpp needs in JavaScript per token (node-llama-cpp) counts as its own, as exo's does as its own.
 */
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { type Random, randomOf } from "#actors/supervisor/bench/random";
import { turned } from "./figures/rounds.ts";
import { promptOf } from "./figures/sides.ts";
import { decodeMs, prefillMs } from "./figures/timing.ts";
import { modelFile, root } from "./models.ts";
import {
  type Answer,
  openSide,
  type Run,
  SIDES,
  type Side,
  type SideName,
  takesThreads,
} from "./peers-side.ts";
import { type Measured, peersReport, peersTable } from "./peers-table.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    prompts: { type: "string", default: "512" },
    output: { type: "string", default: "64" },
    rounds: { type: "string", default: "5" },
    threads: { type: "string", default: "1,2" },
    sides: { type: "string", default: SIDES.join() },
    out: { type: "string" },
  },
});
const numbers = (list: string): number[] => list.split(",").map(Number);
const prompts = numbers(values.prompts);
const output = Number(values.output);
const rounds = Number(values.rounds);
const sideNames = SIDES.filter((name) => values.sides.split(",").includes(name));
/** Warms every side up, and shows whether they hold the same model: greedy answers to one prompt begin alike. */
const [CHECKED_PROMPT, CHECKED_TOKENS] = [16, 8];
/** A machine with more to do measures that as well. */
const LOAD_MOST = 1;

const [load = 0] = loadavg();
if (load > LOAD_MOST) console.error(`load is ${load.toFixed(1)}: others are at work, the figures are noisy`);
const asked = positionals.length === 0 ? ["smollm2"] : positionals;
const measured: Measured[] = [];
const versions: Record<string, string> = {};
const agreement: Record<string, number> = {};
for (const name of asked) {
  measured.push(...(await compared(name, await modelFile(name))));
}
const commit = Bun.spawnSync(["git", "rev-parse", "--short", "HEAD"], { cwd: root }).stdout.toString().trim();
const machine = { cpu: cpus()[0]?.model ?? "unknown", cores: cpus().length, loadBefore: load };
const report = peersReport(measured, {
  commit,
  machine,
  versions,
  agreement,
  level: "engine",
  output,
  rounds,
});
console.log(peersTable(report));
if (values.out !== undefined) await Bun.write(values.out, `${JSON.stringify(report)}\n`);
else console.log(JSON.stringify(report));

async function compared(model: string, path: string): Promise<readonly Measured[]> {
  const context = Math.max(...prompts) + output + 64;
  const sides: Side[] = [];
  await using _ = {
    async [Symbol.asyncDispose]() {
      for (const side of sides) await side[Symbol.asyncDispose]();
    },
  };
  for (const name of sideNames) {
    if (!canRead(name, model)) continue;
    for (const threads of threadsOf(name))
      sides.push(await openSide(name, { model: path, threads, context }));
  }
  const random = randomOf(1, model);
  await warm(model, sides, random);
  const found: Measured[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const length of prompts) {
      for (const side of turned(sides, round)) {
        const run: Run = { prompts: [promptOf(length, random)], output };
        const common = { model, side: side.name, threads: side.threads, prompt: length, round };
        found.push(...speeds(length, await side.run(run)).map((each) => ({ ...common, ...each })));
      }
    }
    console.error(`${model}: round ${round + 1} of ${rounds}`);
  }
  return found;
}

async function warm(model: string, sides: readonly Side[], random: Random): Promise<void> {
  const run: Run = { prompts: [promptOf(CHECKED_PROMPT, random)], output: CHECKED_TOKENS };
  const answers: (readonly number[])[] = [];
  for (const side of sides) {
    versions[side.name] = side.version;
    const [{ ids } = { ids: [] }] = await side.run(run);
    answers.push(ids);
    const same = ids.findIndex((id, i) => id !== answers[0]?.[i]);
    agreement[`${model} ${side.name}`] = same < 0 ? ids.length : same;
  }
}

function speeds(prompt: number, [answer]: readonly Answer[]) {
  if (!answer) throw new Error("no answer");
  return [
    { measure: "prefill", tps: 1000 / prefillMs(answer, prompt) },
    { measure: "decode", tps: 1000 / decodeMs([answer]) },
  ] as const;
}

/** MLX's reader of GGUF files knows no stacked experts. */
function canRead(name: SideName, model: string): boolean {
  return name !== "mlx-lm" || !model.startsWith("moe");
}

function threadsOf(name: SideName): number[] {
  return takesThreads(name) ? numbers(values.threads) : [1];
}
