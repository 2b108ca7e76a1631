/**
 * Answers by one machine of one core against two of one core each, cut where exo cuts a model over equal machines: real workers pinned
 * to cores, real TLS between their machines. What the machines' own process does beside them shares the core of one, or both
 * cores of two. One stream shows what hops cost, four whether both machines are busy. Rounds alternate.
 *
 * `at best` is what the same work would give if nobody ever waited: the CPU time of a token on one machine by that on the busier of two.
 * It holds on a machine with other work too, as far as that leaves caches alone, and tells waiting from work that became more.
 * Run: bun bench/pipeline.ts [GGUF file or folder] [rounds] [tokens] [layers of the first]; two cores that nobody else uses.
 */
import { readdirSync, readFileSync } from "node:fs";
import { DEFAULT_WISH, type Home } from "#actors/planner/home";
import { balanced } from "#actors/planner/placement/balance";
import { plan } from "#actors/planner/plan";
import { readModelShape } from "#actors/shard-worker/weights/checkpoint";
import { medianOf } from "#actors/supervisor/bench/statistics";
import type { NodeId } from "#protocol/ids";
import type { ModelShape } from "#protocol/model-shape";
import { Part } from "../tests/cluster/worker-group.ts";
import { World } from "../tests/runtime/relay-world.ts";
import { modelPath } from "./models.ts";

const [name = "smollm2", rounds = "5", length = "64", cutAt] = process.argv.slice(2);
const TOKENS = Number(length);
const path = await modelPath(name);
const shape = readModelShape(path);
const layers = shape.layers.length;
const cut = Number(cutAt ?? cutOf(shape));
const core = (cores: string) => ["taskset", "-c", cores];

/** Layers of the first of two machines that have one core each of this kind. */
function cutOf(model: ModelShape): number {
  const speeds = { bytesPerSecond: 10e9, flopsPerSecond: 60e9, layerMs: 0.05, stepMs: 0.2, assumed: false };
  const machine = (node: string) => ({
    node: node as NodeId,
    name: node,
    freeBytes: 1e12,
    activationBytes: 4,
    speeds,
  });
  const way = { latencyMs: 0.05, bytesPerSecond: 1e9, measured: true };
  const home: Home = {
    machines: [machine("a"), machine("b")],
    ways: [
      [undefined, way],
      [way, undefined],
    ],
  };
  const wish = { ...DEFAULT_WISH, context: 512, prompt: TOKENS };
  const [found] = plan(model, home, wish, "pipeline").ranked;
  if (!found) throw new Error(`${name} cannot be cut`);
  return balanced(model, home, wish, found.placement)[0]?.end ?? 0;
}

const world = new World();
const [a, b] = await world.two();
const whole = await Part.loaded(a, "worker-whole", { path, under: core("0") });
const first = await Part.loaded(a, "worker-first", {
  path,
  under: core("0"),
  layers: { start: 0, end: cut },
});
const last = await Part.loaded(b, "worker-last", {
  path,
  under: core("1"),
  layers: { start: cut, end: layers },
});
await Part.join([first, last], 1);
const WATCHED = [process.pid, ...[whole, first, last].map(({ worker }) => worker.process.pid)];

/** Milliseconds of CPU time of all threads of each process so far. */
const cpuMs = (): number[] =>
  WATCHED.map((pid) =>
    readdirSync(`/proc/${pid}/task`)
      .map(
        (thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]) / 1e6,
      )
      .reduce((sum, ms) => sum + ms, 0),
  );

interface Timed {
  readonly tokensPerSecond: number;
  /** CPU time of a token on the machine that takes longer. */
  readonly busyMs: number;
}

/** Tokens of a prompt and of its answer. */
const SHORT = { prompt: 3, tokens: TOKENS };
const LONG = { prompt: 480, tokens: 1 };
const CHAT = { prompt: 480, tokens: 64 };
/** No two begin alike: nothing of one is kept for another. */
const promptOf = (length: number, seed: number): number[] =>
  Array.from({ length }, (_, i) => 1 + ((seed * 101 + i * 37) % 40_000));

let asked = 0;
/** So many streams by one machine, or by two. */
async function timed(machines: 1 | 2, streams: number, { prompt, tokens } = SHORT): Promise<Timed> {
  Bun.spawnSync(["taskset", "-acp", machines === 1 ? "0" : "0,1", String(process.pid)]);
  const part = machines === 1 ? whole : last;
  const before = cpuMs();
  const startMs = performance.now();
  const answers = await Promise.all(
    Array.from({ length: streams }, (_, i) =>
      part.answer(
        `r${asked++}`,
        { type: "tokens", tokens: promptOf(prompt, asked + i) },
        { maxTokens: tokens, ignoreEos: true },
      ),
    ),
  );
  const tookMs = performance.now() - startMs;
  const told = answers.find((answer) => typeof answer === "string");
  if (told !== undefined) throw new Error(String(told));
  const spent = cpuMs().map((ms, i) => (ms - (before[i] ?? 0)) / (streams * tokens));
  const [own = 0, ofWhole = 0, ofFirst = 0, ofLast = 0] = spent;
  const busyMs = machines === 1 ? own + ofWhole : own / 2 + Math.max(ofFirst, ofLast);
  return { tokensPerSecond: (streams * tokens * 1000) / tookMs, busyMs };
}

const ratiosOf = (ratios: readonly number[]): string => {
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)];
  return `${medianOf(ratios).toFixed(2)} (${least.toFixed(2)} to ${most.toFixed(2)})`;
};

console.log(`${name}: ${cut} of ${layers} layers on the first of two machines`);
for (const [what, streams, of] of [
  ["an answer", 1, SHORT],
  ["4 answers at once", 4, SHORT],
  ["8 answers at once", 8, SHORT],
  ["a prompt of 480 tokens", 1, LONG],
  ["4 prompts of 480 tokens at once", 4, LONG],
  ["4 questions of 480 tokens at once, each with an answer of 64", 4, CHAT],
] as const) {
  const measured: { readonly one: Timed; readonly two: Timed }[] = [];
  await timed(1, streams, of);
  await timed(2, streams, of);
  for (let round = 0; round < Number(rounds); round++)
    measured.push({ one: await timed(1, streams, of), two: await timed(2, streams, of) });
  // All that is computed where the prompt is most of it, else what is said.
  const shown = of === SHORT ? 1 : (of.prompt + of.tokens) / of.tokens;
  const speed = (by: "one" | "two") =>
    medianOf(measured.map((each) => each[by].tokensPerSecond * shown)).toFixed(1);
  const ratios = measured.map(({ one, two }) => two.tokensPerSecond / one.tokensPerSecond);
  const bounds = measured.map(({ one, two }) => one.busyMs / two.busyMs);
  const atBest = streams === 1 && of === SHORT ? "" : `, at best ${ratiosOf(bounds)}`;
  console.log(
    `${what}: one machine ${speed("one")} tok/s, two ${speed("two")} tok/s, ratio ${ratiosOf(ratios)}${atBest}`,
  );
}
await world.close();
process.exit(0);
