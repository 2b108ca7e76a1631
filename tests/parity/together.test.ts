/** Sequences that decode in one pass against each of them alone, for every architecture: they stand at different offsets. */
import { expect, test } from "bun:test";
import { Sequence } from "#actors/shard-worker/engine/sequence";
import type { Model } from "#actors/shard-worker/models/model";
import { builtMlx } from "#ffi/built-library";
import { cases, withTiny } from "./recorded-tiny.ts";

const mlx = builtMlx();
const STEPS = 6;
const LENGTHS = [3, 40, 1, 17, 9];

test.each(cases)("%s: each of several sequences computes what it computes alone", async (name) => {
  const most = await withTiny(name, mlx, (load, ids) => deviationOf(load().model, ids));
  expect(most).toBe(0);
});

/** The largest difference between a logit of several sequences at once and of each alone, in deviations of all. */
function deviationOf(model: Model, ids: readonly number[]): number {
  const begun = () =>
    LENGTHS.map((length) => {
      const sequence = new Sequence(mlx, model);
      sequence.prefill(ids.slice(0, length));
      return sequence;
    });
  const tokenAt = (row: number, step: number): number => ids[(7 * row + step) % ids.length] ?? 0;
  const [apart, together] = [begun(), begun()];
  let most = 0;
  let deviation = 0;
  for (let step = 0; step < STEPS; step++) {
    // One more leaves after each step, and the rest go on.
    const members = together
      .slice(0, LENGTHS.length - Math.min(step, LENGTHS.length - 2))
      .map((sequence, row) => ({ sequence, token: tokenAt(row, step) }));
    const got = Sequence.nextOfEach(members);
    for (const [row, logits] of got.entries()) {
      const wanted = apart[row]?.next([tokenAt(row, step)]) ?? new Float32Array();
      deviation = Math.sqrt(wanted.reduce((sum, value) => sum + value * value, 0) / wanted.length);
      logits.forEach((value, id) => {
        const difference = Math.abs(value - (wanted[id] ?? Number.NaN)) / deviation;
        most = difference > most || Number.isNaN(difference) ? difference : most;
      });
    }
  }
  for (const sequence of [...apart, ...together]) sequence.dispose();
  return most;
}
