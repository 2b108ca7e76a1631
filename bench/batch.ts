/**
 * How many tokens a second several answers get together, as a multiple of what one gets: an engine in this process, without
 * HTTP and messages. Numbers of streams take turns within each round, so that a busy machine slows all of them alike; the
 * ratio is the median of the rounds' own. What is timed begins when every prompt is computed and its first token said.
 * Not measured: prompts, and answers of different lengths.
 * Run: bun bench/batch.ts [model, GGUF file or folder] [rounds] [steps]
 */
import { Engine } from "#actors/shard-worker/engine/engine";
import { buildModel } from "#actors/shard-worker/models/registry";
import { openText } from "#actors/shard-worker/text/text-port";
import { openCheckpoint } from "#actors/shard-worker/weights/checkpoint";
import { medianOf } from "#actors/supervisor/bench/statistics";
import { builtMlx } from "#ffi/built-library";
import { weightsOf } from "#ffi/cursor";
import type { RequestId } from "#protocol/ids";
import { modelPath } from "./models.ts";

const STREAMS = [1, 2, 4, 8];
const PROMPT_TOKENS = 64;
const [name = "smollm2", rounds = "7", steps = "48"] = process.argv.slice(2);
const path = await modelPath(name);
const TIMED_STEPS = Number(steps);

const mlx = builtMlx();
const { config, source, tokenizer, close } = openCheckpoint(path, mlx);
const text = openText(tokenizer ? { gguf: tokenizer } : { folder: path }, { nowMs: () => 0 });
const model = buildModel(config, weightsOf(source, mlx, { dtype: "float32" }));
close();

/** Tokens a second of `streams` answers together. */
function speedOf(streams: number): number {
  const engine = new Engine({ mlx, model, text, clock: { nowMs: () => 0 } });
  let said = 0;
  let released = false;
  for (let stream = 0; stream < streams; stream++) {
    const tokens = Array.from({ length: PROMPT_TOKENS }, (_, i) => 100 + ((i * 37 + stream * 101) % 1000));
    const generation = {
      id: `stream-${stream}` as RequestId,
      model: "bench",
      prompt: { type: "tokens" as const, tokens },
      sampling: { temperature: 0 },
      maxTokens: 4 * TIMED_STEPS,
      ignoreEos: true,
      stop: [],
    };
    engine.submit(generation, {
      delta: (delta) => {
        if (delta.type === "text") said += delta.tokens.length;
      },
      failed: (error) => {
        if (!released) throw error;
      },
    });
  }
  while (said < 4 * streams) engine.step();
  const before = said;
  const startMs = performance.now();
  while (said < before + TIMED_STEPS * streams) engine.step();
  const speed = ((said - before) * 1000) / (performance.now() - startMs);
  released = true;
  engine.release();
  return speed;
}

for (const streams of STREAMS) speedOf(streams);
const measured = Array.from({ length: Number(rounds) }, () => STREAMS.map(speedOf));
const table = STREAMS.map((streams, i) => {
  const speeds = measured.map((round) => round[i] ?? Number.NaN);
  const ratios = measured.map((round) => (round[i] ?? Number.NaN) / (round[0] ?? Number.NaN));
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)];
  return {
    streams,
    "tokens/s": medianOf(speeds).toFixed(1),
    "of one stream": medianOf(ratios).toFixed(2),
    spread: `${least.toFixed(2)}-${most.toFixed(2)}`,
  };
});
console.table(table);
