/** Models whose layers are shared by ranks: for every architecture the tokens of one machine, on each rank, and nearly its logits. */
import { afterAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { buildModel } from "#actors/shard-worker/models/registry";
import { openCheckpoint } from "#actors/shard-worker/weights/checkpoint";
import { builtMlx } from "#ffi/built-library";
import { weightsOf } from "#ffi/cursor";
import { Problem } from "#protocol/problem";
import type { LayerRange } from "#protocol/shard";
import { arrayOf, type Input, type Lockstep, lockstep } from "./lockstep.ts";
import smollm2 from "./recorded/smollm2.json";
import { writeCheckpoint } from "./seeded.ts";

const mlx = builtMlx();
const cases = [...new Bun.Glob("*.json").scanSync(`${import.meta.dir}/recorded/tiny`)]
  .map((file) => file.replace(".json", ""))
  .sort();
const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

const PROMPT = 12;
const ANSWER = 20;
/** Of a model whose every token goes through 61 sums, before each of which all begins anew. */
const PACKED_ANSWER = 4;
/**
 * Furthest logit from one machine's, in their deviations. Float32 sums in another order, as between our products and MLX's, where
 * tiny.test.ts allows as much.
 */
const BOUND = 5e-5;
/**
 * The same for a packed model of 30 layers: its products round x to 16 bits (exo_quantized_linear), 2e-5 each, of another x by as
 * much as sums differ.
 */
const PACKED_BOUND = 2e-3;

interface Written {
  readonly config: Readonly<Record<string, unknown>>;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
}

async function checkpointOf(name: string, changed = (as: Written): Written => as) {
  const recorded = await Bun.file(`${import.meta.dir}/recorded/tiny/${name}.json`).json();
  const { rough, ids } = recorded;
  const { config, shapes } = changed(recorded);
  const folder = writeCheckpoint(config, shapes, rough);
  folders.push(folder);
  return { checkpoint: openCheckpoint(folder, mlx), ids: ids as readonly number[] };
}

const greedy = (logits: Float32Array) => logits.indexOf(Math.max(...logits));

interface Stream {
  readonly tokens: readonly number[];
  readonly logits: readonly Float32Array[];
}

/** A prompt, and the greedy answer to it. */
function streamOf(
  ids: readonly number[],
  run: (ids: readonly number[]) => Float32Array,
  length: number,
): Stream {
  const logits = [run(ids)];
  const tokens = [greedy(logits[0] ?? new Float32Array())];
  while (tokens.length < length) {
    const next = run(tokens.slice(-1));
    logits.push(next);
    tokens.push(greedy(next));
  }
  return { tokens, logits };
}

function ofOne({ config, source }: ReturnType<typeof openCheckpoint>, range?: LayerRange) {
  const model = buildModel(config, weightsOf(source, mlx, { dtype: "float32" }), range);
  const caches = model.caches();
  return (input: Input) =>
    mlx.scope((keep) => {
      const values = model
        .forward(arrayOf(mlx, input, model), caches, "last")
        .toFloat32()
        .slice();
      for (const cache of caches) keep(cache.arrays());
      return values;
    });
}

/** Every rank has the same bits, or there is no answer. */
function ofRanks({ models, run }: Lockstep) {
  const caches = models.map((model) => [...model.caches()]);
  return (input: Input) => {
    const [first = new Float32Array(), ...others] = run(input, caches, "last");
    for (const other of others) expect(other).toEqual(first);
    return first;
  };
}

function furthest(got: Stream, wanted: Stream): number {
  const all = wanted.logits.flatMap((row) => [...row]);
  const deviation = Math.sqrt(all.reduce((sum, value) => sum + value * value, 0) / all.length);
  const apart = wanted.logits.map((row, at) =>
    row.reduce((most, value, i) => Math.max(most, Math.abs(value - (got.logits[at]?.[i] ?? Number.NaN))), 0),
  );
  return Math.max(...apart) / deviation;
}

test.each(cases)("%s: two ranks answer with the tokens of one machine", async (name) => {
  const { checkpoint, ids } = await checkpointOf(name);
  const prompt = ids.slice(0, PROMPT);
  const one = streamOf(prompt, ofOne(checkpoint), ANSWER);
  const two = streamOf(prompt, ofRanks(lockstep(mlx, checkpoint, 2)), ANSWER);
  const far = furthest(two, one);
  expect([two.tokens, far <= BOUND ? "near" : far]).toEqual([one.tokens, "near"]);
});

test.each(cases)(
  "%s: two ranks that share one of two stages answer with the tokens of one machine",
  async (name) => {
    const { checkpoint, ids } = await checkpointOf(name);
    const prompt = ids.slice(0, PROMPT);
    const one = streamOf(prompt, ofOne(checkpoint), ANSWER);
    const { layers } = buildModel(checkpoint.config, weightsOf(checkpoint.source, mlx, { dtype: "float32" }));
    const [front, back] = [
      { start: 0, end: 1 },
      { start: 1, end: layers },
    ];
    const shared = (range: LayerRange) => ofRanks(lockstep(mlx, checkpoint, 2, range));
    const rows = [
      [shared(front), ofOne(checkpoint, back)],
      [ofOne(checkpoint, front), shared(back)],
    ] as const;
    const streams = rows.map(([first, last]) => streamOf(prompt, (tokens) => last(first(tokens)), ANSWER));
    const far = Math.max(...streams.map((stream) => furthest(stream, one)));
    expect([streams.map(({ tokens }) => tokens), far <= BOUND ? "near" : far]).toEqual([
      [one.tokens, one.tokens],
      "near",
    ]);
  },
  60_000,
);

/** Of four ranks: each sum makes all of them begin anew. */
const SHORT_ANSWER = 5;

test.each(cases)(
  "%s: four ranks, two of which hold each key-value head, answer with the tokens of one machine",
  async (name) => {
    const { checkpoint, ids } = await checkpointOf(name);
    const prompt = ids.slice(0, PROMPT);
    const one = streamOf(prompt, ofOne(checkpoint), SHORT_ANSWER);
    const four = streamOf(prompt, ofRanks(lockstep(mlx, checkpoint, 4)), SHORT_ANSWER);
    const far = furthest(four, one);
    expect([four.tokens, far <= BOUND ? "near" : far]).toEqual([one.tokens, "near"]);
  },
);

test.each([
  ["three ranks of which the second reads two of two key-value heads", 6, 2, 3],
  ["two ranks whose query heads do not come in whole groups", 6, 3, 2],
  ["four ranks of one key-value head", 4, 1, 4],
])("%s answer with the tokens of one machine", async (_, heads, kvHeads, world) => {
  const { checkpoint, ids } = await checkpointOf("qwen2", ({ config, shapes }) => ({
    config: {
      ...config,
      num_attention_heads: heads,
      num_key_value_heads: kvHeads,
      head_dim: 32,
      hidden_size: 128,
    },
    shapes: Object.fromEntries(
      Object.entries(shapes).map(([tensor, shape]) => {
        const of = (count: number) => [32 * count, ...shape.slice(1)];
        if (tensor.includes("q_proj")) return [tensor, of(heads)];
        if (/[kv]_proj/.test(tensor)) return [tensor, of(kvHeads)];
        return [tensor, tensor.includes("o_proj") ? [shape[0] ?? 0, 32 * heads] : shape];
      }),
    ),
  }));
  const prompt = ids.slice(0, PROMPT);
  const one = streamOf(prompt, ofOne(checkpoint), SHORT_ANSWER);
  const ranks = streamOf(prompt, ofRanks(lockstep(mlx, checkpoint, world)), SHORT_ANSWER);
  const far = furthest(ranks, one);
  expect([ranks.tokens, far <= BOUND ? "near" : far]).toEqual([one.tokens, "near"]);
});

test("smollm2, packed in groups: three ranks answer with the tokens of one machine", () => {
  const path = `${import.meta.dir}/../../.cache/models/smollm2/${smollm2.file}`;
  const checkpoint = openCheckpoint(path, mlx);
  const prompt = Array.from({ length: PROMPT }, (_, i) => (i * 7919 + 13) % 40_000);
  const one = streamOf(prompt, ofOne(checkpoint), PACKED_ANSWER);
  const three = streamOf(prompt, ofRanks(lockstep(mlx, checkpoint, 3)), PACKED_ANSWER);
  const far = furthest(three, one);
  expect([three.tokens, far <= PACKED_BOUND ? "near" : far]).toEqual([one.tokens, "near"]);
}, 60_000);

test("heads and columns that the ranks cannot share are refused by name, with the number that would do", () => {
  const path = `${import.meta.dir}/../../.cache/models/smollm2/${smollm2.file}`;
  const checkpoint = openCheckpoint(path, mlx);
  const refused = (world: number): unknown => {
    try {
      return lockstep(mlx, checkpoint, world);
    } catch (error) {
      if (error instanceof Problem) return [error.message, error.remedy];
      throw error;
    }
  };
  expect([refused(2), refused(9)]).toEqual([
    ["num_attention_heads is 9, which 2 ranks cannot share evenly", "use a number of ranks that divides 9"],
    [
      "model.layers.0.mlp.gate_proj.weight has 1536 values along axis 0, which 9 ranks cannot share evenly",
      "use a number of ranks that divides 1536, or split the model by layers",
    ],
  ]);
});
