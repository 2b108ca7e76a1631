/**
 * What hidden states in 8 bits cost SmolLM2's answers: how far they are off, and how many of the parity set's greedy tokens another one
 * takes the place of, cut before a layer or several; and what packing takes. `bun bench/hidden.ts [--json]`.
 */
import { hiddenTypeOf, packHidden } from "#actors/shard-worker/engine/hidden";
import { packIn8, unpackIn8 } from "#actors/shard-worker/engine/hidden-8bit";
import { sent } from "#actors/shard-worker/engine/hidden-sent";
import { Stage } from "#actors/shard-worker/engine/stage";
import { loadShard } from "#actors/shard-worker/loading";
import { builtFolder } from "#ffi/built-library";
import type { Pass } from "#protocol/pass";
import recorded from "../tests/parity/recorded/smollm2.json";
import { quantile } from "./links/two.ts";

const LAYERS = 30;
const CUTS = [[3], [15], [27], [10, 20]];
const path = `${import.meta.dir}/../.cache/models/smollm2/${recorded.file}`;
const clock = { nowMs: () => 0, epochSeconds: () => 0, after: () => () => {}, freshId: () => "id" };

/** Logits of every position of each answer with its question, and the relative RMS of what crossed. */
function computed(cuts: readonly number[], hidden: "8bit" | undefined) {
  const ends = [...cuts, LAYERS];
  const parts = ends.map((end, at) => {
    const layers = { start: ends[at - 1] ?? 0, end };
    return loadShard({ model: "smollm2", path, contextLength: 1024, layers }, builtFolder, clock, () => {})
      .layers;
  });
  const stages = parts.map((layers) => ({ stage: new Stage(layers), model: layers.model }));
  const errors: number[] = [];
  const logits = recorded.answers.map(({ prompt, ids }, sequence) => {
    const tokens = [...prompt, ...ids].slice(0, -1);
    const feeds = [{ sequence, position: 0, count: tokens.length, tokens }];
    let pass: Pass = { instance: "m", epoch: 0, number: sequence, ops: [], feeds, wanted: "all" };
    let body: Uint8Array | undefined;
    let values: Float32Array = new Float32Array();
    for (const { stage, model } of stages) {
      values = stage.run(pass, body).values;
      if (model.range.end === LAYERS) break;
      if (hidden)
        errors.push(relativeRms(values, unpackIn8(packIn8(values, model.hiddenSize), model.hiddenSize)));
      const next = sent(values, model, hidden);
      body = next.body;
      pass = { ...pass, hiddenType: next.hiddenType };
    }
    return { values, from: prompt.length - 1, rows: tokens.length };
  });
  for (const { stage } of stages) stage.clear();
  return { logits, errors };
}

function relativeRms(values: Float32Array, got: Float32Array): number {
  let [off, all] = [0, 0];
  for (const [i, value] of values.entries()) {
    off += (value - (got[i] ?? 0)) ** 2;
    all += value ** 2;
  }
  return Math.sqrt(off / all);
}

/** The likeliest token after each of an answer's positions. */
function greedy({ values, from, rows }: ReturnType<typeof computed>["logits"][number]): readonly number[] {
  const width = values.length / rows;
  return Array.from({ length: rows - from }, (_, i) => {
    const row = values.subarray((from + i) * width, (from + i + 1) * width);
    return row.reduce((best, value, at) => (value > (row[best] ?? 0) ? at : best), 0);
  });
}

function packing(rows: number, width: number) {
  const values = Float32Array.from({ length: rows * width }, (_, i) => Math.sin(i));
  const packed = packIn8(values, width);
  const us = (run: () => unknown) => {
    const times = Array.from({ length: 300 }, () => {
      const startedMs = performance.now();
      run();
      return 1000 * (performance.now() - startedMs);
    });
    return Number(quantile(times.slice(100), 0.5).toFixed(1));
  };
  return {
    ...{ rows, width, bytes: packed.length, bytesIn16: packHidden(values, hiddenTypeOf("float16")).length },
    ...{ packUs: us(() => packIn8(values, width)), unpackUs: us(() => unpackIn8(packed, width)) },
  };
}

const wanted = computed([], undefined).logits.map(greedy);
const tokens = wanted.flat().length;
const cuts = CUTS.map((cut) => {
  const { logits, errors } = computed(cut, "8bit");
  const other = logits
    .map(greedy)
    .map((got, i) => got.filter((token, at) => token !== wanted[i]?.[at]).length);
  return {
    ...{ cut, tokens, otherTokens: other.reduce((sum, each) => sum + each, 0) },
    otherAnswers: other.filter((each) => each > 0).length,
    relativeRms: [Math.min(...errors), Math.max(...errors)].map((each) => Number(each.toFixed(4))),
  };
});
const packed = [packing(1, 576), packing(1, 4096), packing(128, 576)];
if (process.argv.includes("--json")) console.log(JSON.stringify({ cuts, packed }));
else {
  console.table(
    cuts.map(({ cut, ...each }) => ({ cut: cut.join(), ...each, relativeRms: each.relativeRms.join("–") })),
  );
  console.table(packed);
}
