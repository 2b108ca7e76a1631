/** Where the chunks of a prompt end leaves no trace: one machine and several cut it differently, and so does one that has other work. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { Sequence } from "#actors/shard-worker/engine/sequence";
import type { Model } from "#actors/shard-worker/models/model";
import { buildModel } from "#actors/shard-worker/models/registry";
import { alikeIn, MANY_TOKENS } from "#actors/shard-worker/models/rows-alike";
import { openCheckpoint } from "#actors/shard-worker/weights/checkpoint";
import { builtMlx } from "#ffi/built-library";
import { weightsOf } from "#ffi/cursor";
import type { KvQuant } from "#protocol/shard";
import { smollm2File } from "../e2e/product.ts";
import { cases, recorded, ungrouped, withWeights } from "./recorded-tiny.ts";

setDefaultTimeout(120_000);

const mlx = builtMlx();
const PROMPT = 200;
/** Of as few tokens as a chunk of a longer prompt may have, and of more. */
const SIZES = [100, 67, 50, 34, MANY_TOKENS] as const;
const KEPT = ["f16", "q8"] as const;

/** The logits after the prompt, which went through the model in chunks of at most `chunk` tokens. */
function logitsOf(model: Model, kept: KvQuant, chunk: number, vocabulary: number): Float32Array {
  const tokens = Array.from({ length: PROMPT + 1 }, (_, i) => (i * 7919 + 13) % vocabulary);
  const sequence = new Sequence(mlx, model, model.caches(kept));
  for (let at = 0; at < PROMPT; ) {
    const left = PROMPT - at;
    // No chunk is shorter than `MANY_TOKENS` (engine/course.ts, which halves the last two instead).
    const count = left > chunk && left < chunk + MANY_TOKENS ? left : Math.min(chunk, left);
    sequence.prefill(tokens.slice(at, at + count));
    at += count;
  }
  const logits = sequence.next(tokens.slice(PROMPT)).slice();
  sequence.dispose();
  return logits;
}

/** Sizes whose logits are not those of the whole prompt at once. */
const otherSizes = (model: Model, vocabulary: number, sizes: readonly number[] = SIZES) =>
  KEPT.flatMap((kept) => {
    const whole = logitsOf(model, kept, PROMPT, vocabulary);
    return sizes.filter((chunk) => !Bun.deepEquals(logitsOf(model, kept, chunk, vocabulary), whole));
  });

if (mlx.kernels === "exo") {
  const { config, source } = openCheckpoint(smollm2File(), mlx);
  const model = buildModel(config, weightsOf(source, mlx, { dtype: "float32" }));

  test("chunks of a packed model leave the bits of one", () => {
    expect([alikeIn(config, mlx.kernels).chunks, otherSizes(model, 40_000, [67, MANY_TOKENS])]).toEqual([
      true,
      [],
    ]);
  });

  const tiny = [...cases.map((name) => [name, recorded] as const), ["llama", ungrouped] as const];
  test.each(tiny)("chunks leave the bits of one, where %s is said to have such (%p)", async (name, given) => {
    const made = await given(name);
    const { chunks } = alikeIn(made.config as never, mlx.kernels);
    const others = withWeights(made, mlx, (load) => (chunks ? otherSizes(load().model, 300) : []));
    expect(others).toEqual([]);
  });

  test("an expert's rows are few or many by who else chose it, and a ring remembers", async () => {
    const unlike = await Promise.all(
      cases.map(async (name) => {
        const { config: read } = await recorded(name);
        return alikeIn(read as never, "exo").chunks ? [] : [name];
      }),
    );
    expect(unlike.flat()).toEqual([
      "llama-dynamic",
      "mistral-window",
      "mixtral",
      "qwen2-window",
      "qwen3-moe",
    ]);
  });
}
