/**
 * What a stage costs beyond its layers: the same tokens by one machine's token loop, and by stages in one process that pass hidden
 * state on through the codec. The difference, per token and stage, is what splitting a model adds to computing; links are not measured
 * (bench/relay.ts). Also the weights that the stage which holds most has, of those of the whole model. Run: bun bench/stages.ts [GGUF file or folder] [stages]
 */
import type { Engine } from "#actors/shard-worker/engine/engine";
import { memoryGroup } from "#actors/shard-worker/memory-group";
import { medianOf } from "#actors/supervisor/bench/statistics";
import type { RequestId } from "#protocol/ids";
import { modelHere } from "./loading.ts";

const ROUNDS = 12;
const TOKENS = 48;
const [name = "smollm2", count = "2"] = process.argv.slice(2);
const { load } = await modelHere(name, 1024);

const whole = load();
const layers = whole.facts.layers;
const stages = Number(count);
const cut = (stage: number): number => Math.round((stage * layers) / stages);
const parts = Array.from({ length: stages }, (_, stage) => load({ start: cut(stage), end: cut(stage + 1) }));
const group = memoryGroup(parts);
const engine = whole.engine?.();
if (!engine) throw new Error("a whole model has an engine");

let asked = 0;
/** Microseconds per token of an answer. */
function time(by: Engine, step: () => boolean): number {
  let firstMs = 0;
  let lastMs = 0;
  by.submit(
    {
      id: `r${asked++}` as RequestId,
      model: name,
      prompt: { type: "text", text: "Once upon a time" },
      sampling: { temperature: 0 },
      stop: [],
      ignoreEos: true,
      maxTokens: TOKENS + 1,
    },
    {
      delta: ({ type }) => {
        if (type !== "text") return;
        lastMs = performance.now();
        firstMs ||= lastMs;
      },
      failed: (error) => {
        throw error;
      },
    },
  );
  while (step());
  return ((lastMs - firstMs) * 1000) / TOKENS;
}

const rounds = Array.from({ length: ROUNDS }, () => ({
  one: time(engine, () => engine.step()),
  split: time(group.engine, group.step),
}));
const [one, split] = [medianOf(rounds.map((each) => each.one)), medianOf(rounds.map((each) => each.split))];
const added = rounds.map((each) => (each.split - each.one) / stages).sort((a, b) => a - b);
console.log(
  `${name}: one machine ${one.toFixed(0)} us a token, ${stages} stages one after the other ${split.toFixed(0)} us; ` +
    `a stage adds ${medianOf(added).toFixed(0)} us (${added[0]?.toFixed(0)} to ${added.at(-1)?.toFixed(0)})`,
);
const megabytes = parts.map(({ facts }) => facts.weightBytes / 1e6);
const most = Math.max(...megabytes);
console.log(
  `${name}: of ${(whole.facts.weightBytes / 1e6).toFixed(0)} MB of weights stages hold ${megabytes.map((each) => each.toFixed(0)).join(", ")} MB, ` +
    `the largest ${((most * 1e6) / whole.facts.weightBytes).toFixed(2)} of all`,
);
