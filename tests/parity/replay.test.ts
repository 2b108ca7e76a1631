/** An answer that goes on elsewhere: its tokens go through the model a few at once, and leave the bits that one at a time left. */
import { expect, test } from "bun:test";
import { Sequence } from "#actors/shard-worker/engine/sequence";
import { buildModel } from "#actors/shard-worker/models/registry";
import { rowsAlike } from "#actors/shard-worker/models/rows-alike";
import { openCheckpoint } from "#actors/shard-worker/weights/checkpoint";
import { builtMlx } from "#ffi/built-library";
import { weightsOf } from "#ffi/cursor";
import { smollm2File } from "../e2e/product.ts";

const mlx = builtMlx();
const { config, facts, source } = openCheckpoint(smollm2File(), mlx);
const model = buildModel(config, weightsOf(source, mlx, { dtype: "float32" }));
const rows = rowsAlike(config, facts.quantisation, mlx.kernels);

const PROMPT = 40;
const ANSWER = 23;
const tokens = (start: number, end: number) =>
  Array.from({ length: end - start }, (_, i) => ((start + i) * 7919 + 13) % 40_000);

test.each(mlx.kernels === "exo" ? (["f16", "f32", "q8"] as const) : [undefined])(
  "tokens of an answer that are computed again leave the same bits (kept as %s)",
  (kept) => {
    const [first, again] = [1, rows].map((count) => {
      const sequence = new Sequence(mlx, model, model.caches(kept));
      sequence.prefill(tokens(0, PROMPT));
      for (let at = PROMPT; at < PROMPT + ANSWER; at += count)
        sequence.prefill(tokens(at, Math.min(at + count, PROMPT + ANSWER)));
      const logits = sequence.next(tokens(PROMPT + ANSWER, PROMPT + ANSWER + 1)).slice();
      sequence.dispose();
      return logits;
    });
    expect(again).toEqual(first);
  },
);

test("our kernels take several tokens of an answer at once, where its weights are packed", () => {
  expect([rows, rowsAlike(config, "bfloat16", "exo"), rowsAlike(config, facts.quantisation, "mlx")]).toEqual([
    mlx.kernels === "exo" ? 5 : 1,
    1,
    1,
  ]);
});
