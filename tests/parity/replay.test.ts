/** An answer that goes on elsewhere: its tokens go through the model a few at once, and leave the bits that one at a time left. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { Sequence } from "#actors/shard-worker/engine/sequence";
import type { Model } from "#actors/shard-worker/models/model";
import { buildModel } from "#actors/shard-worker/models/registry";
import { alikeIn, PIECES_CHANGE } from "#actors/shard-worker/models/rows-alike";
import { openCheckpoint } from "#actors/shard-worker/weights/checkpoint";
import { builtMlx } from "#ffi/built-library";
import { weightsOf } from "#ffi/cursor";
import type { KvQuant } from "#protocol/shard";
import { smollm2File } from "../e2e/product.ts";
import { cases, recorded, ungrouped, withWeights } from "./recorded-tiny.ts";

setDefaultTimeout(120_000);

const mlx = builtMlx();
const PROMPT = 40;
const ANSWER = 23;
const KEPT = mlx.kernels === "exo" ? (["f16", "f32", "q8"] as const) : [undefined];

interface Again {
  readonly rows: number;
  readonly vocabulary: number;
  readonly kept: KvQuant | undefined;
  readonly prompt?: number;
}

/** The logits after prompt and answer, the latter `rows` tokens at once. */
function logitsOf(model: Model, { rows, vocabulary, kept, prompt = PROMPT }: Again): Float32Array {
  const tokens = (start: number, end: number) =>
    Array.from({ length: end - start }, (_, i) => ((start + i) * 7919 + 13) % vocabulary);
  const sequence = new Sequence(mlx, model, model.caches(kept));
  sequence.prefill(tokens(0, prompt));
  const end = prompt + ANSWER;
  for (let at = prompt; at < end; at += rows) sequence.prefill(tokens(at, Math.min(at + rows, end)));
  const logits = sequence.next(tokens(end, end + 1)).slice();
  sequence.dispose();
  return logits;
}

/** How keys and values are kept where these many rows leave other bits than one. */
const unlike = (model: Model, again: Omit<Again, "kept">) =>
  KEPT.filter(
    (kept) =>
      !Bun.deepEquals(logitsOf(model, { ...again, kept }), logitsOf(model, { ...again, kept, rows: 1 })),
  );

const { config, source } = openCheckpoint(smollm2File(), mlx);
const model = buildModel(config, weightsOf(source, mlx, { dtype: "float32" }));

test("tokens of an answer that are computed again leave the same bits", () => {
  const { rows } = alikeIn(config, mlx.kernels);
  const others = unlike(model, { rows, vocabulary: 40_000 });
  expect([rows, alikeIn(config, "mlx").rows, others]).toEqual([mlx.kernels === "exo" ? 5 : 1, 1, []]);
});

const tiny = [...cases.map((name) => [name, recorded] as const), ["llama", ungrouped] as const];
test.each(tiny)(
  "so do those of %s, of which as many are alike as it is said to have (%p)",
  async (name, given) => {
    const made = await given(name);
    const { rows } = alikeIn(made.config as never, mlx.kernels);
    const others = withWeights(made, mlx, (load) => unlike(load().model, { rows, vocabulary: 300 }));
    expect(others).toEqual([]);
  },
);

test("up to where the pieces that attention is cut in grow, tokens that are computed again leave the same bits", async () => {
  const made = await recorded("llama");
  const { rows } = alikeIn(made.config as never, mlx.kernels);
  // On both sides of it bits may differ, by how the kernels of that machine add, and need not.
  const upTo = withWeights(made, mlx, (load) =>
    unlike(load().model, { rows, vocabulary: 300, prompt: PIECES_CHANGE - rows }),
  );
  expect(upTo).toEqual([]);
});
