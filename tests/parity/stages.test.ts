/** Every architecture over two and three machines against one: the same bits, from tensors of the layers that each has and no others. */
import { afterAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { hiddenTypeOf, packHidden } from "#actors/shard-worker/engine/hidden";
import { Sequence } from "#actors/shard-worker/engine/sequence";
import { Stage } from "#actors/shard-worker/engine/stage";
import type { Model } from "#actors/shard-worker/models/model";
import { buildModel } from "#actors/shard-worker/models/registry";
import { openCheckpoint } from "#actors/shard-worker/weights/checkpoint";
import { builtMlx } from "#ffi/built-library";
import { weightsOf } from "#ffi/cursor";
import type { Pass } from "#protocol/pass";
import { writeCheckpoint } from "./seeded.ts";

const mlx = builtMlx();
const cases = [...new Bun.Glob("*.json").scanSync(`${import.meta.dir}/recorded/tiny`)]
  .map((file) => file.replace(".json", ""))
  .sort();
const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** Passes through all stages, with what one machine does beside them. */
function inStages(models: readonly Model[]) {
  const stages = models.map((model) => new Stage({ mlx, model }));
  let number = 0;
  return (feeds: Pass["feeds"], wanted: Pass["wanted"]): Float32Array => {
    let pass: Pass = { instance: "m", epoch: 0, number: number++, ops: [], feeds, wanted };
    let body: Uint8Array | undefined;
    let values = new Float32Array();
    for (const [i, stage] of stages.entries()) {
      const ran = stage.run(pass, body);
      if (ran.lost.length > 0) throw new Error(`lost: ${JSON.stringify(ran.lost)}`);
      const hiddenType = hiddenTypeOf(models[i]?.dtype ?? "float32");
      values = new Float32Array(ran.values);
      body = packHidden(values, hiddenType);
      pass = { ...pass, feeds: feeds.map(({ tokens: _, ...feed }) => feed), hiddenType };
    }
    return values;
  };
}

test.each(cases)("%s: layers on several machines compute what they compute on one", async (name) => {
  const { config, shapes, rough, ids } = await Bun.file(
    `${import.meta.dir}/recorded/tiny/${name}.json`,
  ).json();
  const folder = writeCheckpoint(config, shapes, rough);
  folders.push(folder);
  const load = (range?: { start: number; end: number }) => {
    const checkpoint = openCheckpoint(folder, mlx);
    const model = buildModel(
      checkpoint.config,
      weightsOf(checkpoint.source, mlx, { dtype: "float32" }),
      range,
    );
    checkpoint.close();
    const bytes = range ? checkpoint.weightBytesOf(range) : checkpoint.facts.weightBytes;
    return { model, taken: checkpoint.loadedBytes() === bytes };
  };
  const whole = load();
  const { layers } = whole.model;
  const splits = Array.from({ length: layers - 1 }, (_, i) => [i + 1]).concat(layers > 2 ? [[1, 2]] : []);
  const wrong = splits.filter((cuts) => {
    const ends = [...cuts, layers];
    const parts = ends.map((end, i) => load({ start: ends[i - 1] ?? 0, end }));
    const run = inStages(parts.map(({ model }) => model));
    const [one, two] = [new Sequence(mlx, whole.model), new Sequence(mlx, whole.model)];
    const feed = (sequence: number, from: number, to: number) => {
      const tokens: number[] = ids.slice(from, to);
      return { sequence, position: from, count: tokens.length, tokens };
    };
    run([feed(1, 0, 20)], "hidden");
    one.prefill(ids.slice(0, 20));
    const all = [run([feed(1, 20, 33)], "all"), one.all(ids.slice(20, 33))];
    run([feed(2, 0, 7)], "hidden");
    two.prefill(ids.slice(0, 7));
    const last = [run([feed(2, 7, 8)], "last"), two.next(ids.slice(7, 8))];
    const both = [
      run([feed(1, 33, 34), feed(2, 8, 9)], "last"),
      Sequence.nextOfEach([
        { sequence: one, token: ids[33] },
        { sequence: two, token: ids[8] },
      ]).flatMap((row) => [...row]),
    ];
    const same = [all, last, both].every(([got, wanted]) =>
      Bun.deepEquals([...(got ?? [])], [...(wanted ?? [])]),
    );
    return !same || !parts.every(({ taken }) => taken);
  });
  expect([splits.length > 0, whole.taken, wrong]).toEqual([true, true, []]);
});
