/** A token that only fills the caches, without logits, fills them as one whose logits are wanted: for every architecture. */
import { expect, test } from "bun:test";
import { Sequence } from "#actors/shard-worker/engine/sequence";
import { builtMlx } from "#ffi/built-library";
import { cases, withTiny } from "./recorded-tiny.ts";

const mlx = builtMlx();
const PROMPT = 12;
const ANSWER = 5;

test.each(cases)("%s: a token without logits leaves the bits of one with them", async (name) => {
  await withTiny(name, mlx, (load, ids) => {
    const { model } = load();
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
});
