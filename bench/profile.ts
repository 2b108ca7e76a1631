/**
 * Where the time of a decode step goes: each operation of our own, its calls and microseconds a step, and what lies before it
 * on the stream (MLX's own operations and the handing over of work). Caches are filled with random rows, so that a long
 * context costs no prompt. The counting itself takes some 0.3 us an operation.
 * Run: bun bench/profile.ts [model, GGUF file or folder] [tokens of context] [streams] [kind of cache]
 */
import { type Member, Sequence } from "#actors/shard-worker/engine/sequence";
import { buildModel } from "#actors/shard-worker/models/registry";
import { openCheckpoint } from "#actors/shard-worker/weights/checkpoint";
import { medianOf } from "#actors/supervisor/bench/statistics";
import { builtMlx } from "#ffi/built-library";
import { weightsOf } from "#ffi/cursor";
import type { KvQuant } from "#protocol/shard";
import { modelPath } from "./models.ts";

const STEPS = 40;
const WARM_STEPS = 8;
const [name = "smollm2", context = "64", streams = "1", type] = process.argv.slice(2);
const path = await modelPath(name);

const mlx = builtMlx();
const { config, source, close } = openCheckpoint(path, mlx);
const model = buildModel(config, weightsOf(source, mlx, { dtype: "float32" }));
close();
const numberIn = (key: string): number | undefined => {
  const value = Object.entries(config).find(([each]) => each === key)?.[1];
  return typeof value === "number" ? value : undefined;
};
const heads = numberIn("num_attention_heads") ?? Number.NaN;
const kvHeads = numberIn("num_key_value_heads") ?? heads;
const dims = numberIn("head_dim") ?? (numberIn("hidden_size") ?? Number.NaN) / heads;

/** A sequence that stands at `tokens`, with noise for keys and values. */
function filled(tokens: number): Sequence {
  const caches = model.caches(type as KvQuant | undefined);
  const noise = Float32Array.from({ length: kvHeads * tokens * dims }, (_, i) => Math.sin(i * 12.9898) / 2);
  mlx.scope((keep) => {
    const rows = mlx.fromFloat32(noise, [1, kvHeads, tokens, dims]);
    for (const cache of caches) {
      cache.update(rows, rows);
      keep(cache.arrays());
    }
  });
  mlx.eval(caches.flatMap((cache) => cache.arrays()));
  return new Sequence(mlx, model, caches, new Array(tokens).fill(1));
}

const members: Member[] = Array.from({ length: Number(streams) }, (_, i) => ({
  sequence: filled(Number(context)),
  token: 100 + i,
}));

function run(steps: number): number[] {
  return Array.from({ length: steps }, () => {
    const startMs = performance.now();
    Sequence.nextOfEach(members);
    return (performance.now() - startMs) * 1000;
  });
}

run(WARM_STEPS);
const plain = run(STEPS);
mlx.native.exo_profile(true);
const counted = run(STEPS);
mlx.native.exo_profile(false);

const rows = (mlx.native.exo_profile_report() ?? "")
  .trim()
  .split("\n")
  .map((line) => {
    const [name = "", shape = "", count, ns, waited] = line.split(" ");
    const perStep = (value: string | undefined, unit: number): number => Number(value) / unit / STEPS;
    return { name, shape, calls: perStep(count, 1), us: perStep(ns, 1000), before: perStep(waited, 1000) };
  });
const sum = (of: (row: (typeof rows)[number]) => number): number =>
  rows.reduce((total, row) => total + of(row), 0);
rows.sort((a, b) => b.us + b.before - a.us - a.before);
rows.push({
  name: "sum",
  shape: "",
  calls: sum((r) => r.calls),
  us: sum((r) => r.us),
  before: sum((r) => r.before),
});
console.table(
  rows.map(({ name, shape, calls, us, before }) => ({
    operation: name,
    result: shape,
    calls: calls.toFixed(0),
    "us a step": us.toFixed(0),
    "us before": before.toFixed(0),
    "us each": (us / calls).toFixed(1),
  })),
);
console.log(
  `${path}: ${context} tokens of context, ${streams} streams: a step ${medianOf(plain).toFixed(0)} us (least ${Math.min(...plain).toFixed(0)}), counted ${medianOf(counted).toFixed(0)} us`,
);
for (const { sequence } of members) sequence.dispose();
