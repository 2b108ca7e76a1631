/** A token that only fills the caches, without logits, fills them as one whose logits are wanted: for every architecture. */
import { afterAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { Sequence } from "#actors/shard-worker/engine/sequence";
import { buildModel } from "#actors/shard-worker/models/registry";
import { openCheckpoint } from "#actors/shard-worker/weights/checkpoint";
import { builtMlx } from "#ffi/built-library";
import { weightsOf } from "#ffi/cursor";
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
const ANSWER = 5;

test.each(cases)("%s: a token without logits leaves the bits of one with them", async (name) => {
  const { config, shapes, rough, ids } = await Bun.file(
    `${import.meta.dir}/recorded/tiny/${name}.json`,
  ).json();
  const folder = writeCheckpoint(config, shapes, rough);
  folders.push(folder);
  const checkpoint = openCheckpoint(folder, mlx);
  const model = buildModel(checkpoint.config, weightsOf(checkpoint.source, mlx, { dtype: "float32" }));
  const logitsAfter = (feed: (sequence: Sequence, token: number) => void): Float32Array => {
    const sequence = new Sequence(mlx, model);
    sequence.prefill(ids.slice(0, PROMPT));
    for (const token of ids.slice(PROMPT, PROMPT + ANSWER)) feed(sequence, token);
    const logits = sequence.next(ids.slice(PROMPT + ANSWER, PROMPT + ANSWER + 1)).slice();
    sequence.dispose();
    return logits;
  };
  const filled = logitsAfter((sequence, token) => sequence.prefill([token]));
  expect(filled).toEqual(logitsAfter((sequence, token) => sequence.next([token])));
});
