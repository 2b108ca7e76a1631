/** Every architecture over two and three machines against one: the same bits, from tensors of the layers that each has and no others. */
import { expect, test } from "bun:test";
import { hiddenTypeOf, packHidden } from "#actors/shard-worker/engine/hidden";
import { Sequence } from "#actors/shard-worker/engine/sequence";
import { Stage } from "#actors/shard-worker/engine/stage";
import type { Model } from "#actors/shard-worker/models/model";
import { builtMlx } from "#ffi/built-library";
import type { Pass } from "#protocol/pass";
import type { LayerRange } from "#protocol/shard";
import { cases, type Tiny, withTiny } from "./recorded-tiny.ts";

const mlx = builtMlx();

/** Passes through all stages, with what one machine does beside them. */
function inStages(models: readonly Model[]) {
  const stages = models.map((model) => new Stage({ mlx, model }));
  let number = 0;
  return (feeds: Pass["feeds"], wanted: Pass["wanted"]): Float32Array => {
    let pass: Pass = { instance: "m", epoch: 0, number: number++, ops: [], feeds, wanted };
    let body: Uint8Array | undefined;
    let values: Float32Array = new Float32Array();
    for (const [i, stage] of stages.entries()) {
      const ran = stage.run(pass, body);
      if (ran.lost.length > 0) throw new Error(`lost: ${JSON.stringify(ran.lost)}`);
      const hiddenType = hiddenTypeOf(models[i]?.dtype ?? "float32");
      // What was taken in is written over once it is computed, as a reader of frames does.
      body?.fill(0xa5);
      values = ran.values;
      body = packHidden(values, hiddenType);
      pass = { ...pass, feeds: feeds.map(({ tokens: _, ...feed }) => feed), hiddenType };
    }
    return values;
  };
}

test.each(cases)("%s: layers on several machines compute what they compute on one", async (name) => {
  await withTiny(name, mlx, (load, ids) => {
    const whole = load();
    const { layers } = whole.model;
    const splits = Array.from({ length: layers - 1 }, (_, i) => [i + 1]).concat(layers > 2 ? [[1, 2]] : []);
    const wrong = splits.filter((cuts) => {
      const ends = [...cuts, layers];
      const ranges = ends.map((end, i) => ({ start: ends[i - 1] ?? 0, end }));
      const parts = ranges.map((range) => load(range));
      const isTaken = parts.every((part, i) => tookAll(part, ranges[i]));
      return (
        !isTaken ||
        !areAlike(
          whole.model,
          parts.map(({ model }) => model),
          ids,
        )
      );
    });
    expect([splits.length > 0, tookAll(whole), wrong]).toEqual([true, true, []]);
  });
});

/** Whether the tensors of these layers were read, and no others. */
function tookAll({ checkpoint }: Tiny, range?: LayerRange): boolean {
  const bytes = range ? checkpoint.weightBytesOf(range) : checkpoint.facts.weightBytes;
  return checkpoint.loadedBytes() === bytes;
}

/** Whether the parts in a row compute a prompt, scores, a token and tokens of two answers to the bit as the whole does. */
function areAlike(whole: Model, parts: readonly Model[], ids: readonly number[]): boolean {
  const run = inStages(parts);
  const [one, two] = [new Sequence(mlx, whole), new Sequence(mlx, whole)];
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
      { sequence: one, token: ids[33] ?? 0 },
      { sequence: two, token: ids[8] ?? 0 },
    ]).flatMap((row) => [...row]),
  ];
  return [all, last, both].every(([got, wanted]) => Bun.deepEquals([...(got ?? [])], [...(wanted ?? [])]));
}
