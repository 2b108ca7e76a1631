/** Sequences that decode in one pass against each of them alone, for every architecture: they stand at different offsets. */
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

const STEPS = 6;
const LENGTHS = [3, 40, 1, 17, 9];

test.each(cases)("%s: each of several sequences computes what it computes alone", async (name) => {
  const { config, shapes, rough, ids } = await Bun.file(
    `${import.meta.dir}/recorded/tiny/${name}.json`,
  ).json();
  const folder = writeCheckpoint(config, shapes, rough);
  folders.push(folder);
  const checkpoint = openCheckpoint(folder, mlx);
  const model = buildModel(checkpoint.config, weightsOf(checkpoint.source, mlx, { dtype: "float32" }));
  const begun = () =>
    LENGTHS.map((length) => {
      const sequence = new Sequence(mlx, model);
      sequence.prefill(ids.slice(0, length));
      return sequence;
    });
  const tokenAt = (row: number, step: number): number => ids[(7 * row + step) % ids.length];
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
  expect(most).toBe(0);
});
