/** Where the chunks of a prompt end leaves no trace: one machine and several cut it differently, and so does one that has other work. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { Sequence } from "#actors/shard-worker/engine/sequence";
import { buildModel } from "#actors/shard-worker/models/registry";
import { openCheckpoint } from "#actors/shard-worker/weights/checkpoint";
import { builtMlx } from "#ffi/built-library";
import { weightsOf } from "#ffi/cursor";
import { smollm2File } from "../e2e/product.ts";

setDefaultTimeout(60_000);

const mlx = builtMlx();
const { config, source } = openCheckpoint(smollm2File(), mlx);
const model = buildModel(config, weightsOf(source, mlx, { dtype: "float32" }));

const PROMPT = 200;
const tokens = Array.from({ length: PROMPT + 1 }, (_, i) => (i * 7919 + 13) % 40_000);

/** Of more than eight rows, which are what our kernels compute row by row (rows-alike.ts). */
test.each(mlx.kernels === "exo" ? [100, 67, 50, 34, 20] : [])(
  "chunks of %d tokens leave the bits of one",
  (chunk) => {
    const [whole, cut] = [PROMPT, chunk].map((count) => {
      const sequence = new Sequence(mlx, model);
      for (let at = 0; at < PROMPT; at += count)
        sequence.prefill(tokens.slice(at, Math.min(at + count, PROMPT)));
      const logits = sequence.next(tokens.slice(PROMPT)).slice();
      sequence.dispose();
      return logits;
    });
    expect(cut).toEqual(whole);
  },
);
