/** The real model over two and three machines, loaded as workers load it, against one machine. */
import { afterAll, expect, test } from "bun:test";
import type { Engine } from "#actors/shard-worker/engine/engine";
import { loadShard } from "#actors/shard-worker/loading";
import { memoryGroup } from "#actors/shard-worker/memory-group";
import { builtFolder } from "#ffi/built-library";
import type { Delta, Generation } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { LayerRange } from "#protocol/shard";
import recorded from "./recorded/smollm2.json";

const path = `${import.meta.dir}/../../.cache/models/smollm2/${recorded.file}`;
const clock = { nowMs: () => 0, epochSeconds: () => 0, after: () => () => {}, freshId: () => "id" };
const SLOWEST_MS = 60_000;
const LAYERS = 30;

function load(layers?: LayerRange) {
  const told: number[] = [];
  const loaded = loadShard(
    { model: "smollm2", path, contextLength: 1024, ...(layers && { layers }) },
    builtFolder,
    clock,
    (bytes) => told.push(bytes),
  );
  return loaded;
}

const whole = load();
const stagesOf = (cuts: readonly number[]) => {
  const ends = [...cuts, LAYERS];
  return ends.map((end, i) => load({ start: ends[i - 1] ?? 0, end }));
};

/** Three questions at once, greedy and sampled, and one of them again with what is known of it. */
function answers(engine: Engine, run: () => void): readonly unknown[] {
  const ask = (id: string, question: string, sampling: Generation["sampling"]) => {
    const heard: Delta[] = [];
    const generation: Generation = {
      id: id as RequestId,
      model: "smollm2",
      prompt: { type: "messages", messages: [{ role: "user", content: question }] },
      sampling,
      maxTokens: 24,
      stop: [],
      logprobs: 5,
    };
    const failed = (error: unknown) => {
      throw error;
    };
    engine.submit(generation, { delta: (delta) => void heard.push(delta), failed });
    return heard;
  };
  const all = recorded.answers
    .slice(0, 3)
    .map(({ question }, i) => ask(`q${i}`, question, i === 0 ? { temperature: 0 } : { seed: i, topP: 0.95 }));
  run();
  const again = ask("again", recorded.answers[0]?.question ?? "", { temperature: 0 });
  run();
  return [...all, again].map((heard) => heard.filter(({ type }) => type === "text"));
}

const engine = whole.engine?.();
if (!engine) throw new Error("the whole model has no engine");
const wanted = answers(engine, () => {
  while (engine.step());
});
afterAll(() => engine.release());

test.each([[[15]], [[7]], [[1, 20]], [[10, 20]]])(
  "cut before layers %j it answers to the bit as one machine does",
  (cuts) => {
    const group = memoryGroup(stagesOf(cuts));
    const got = answers(group.engine, group.run);
    for (const member of group.members) member.leave(new Problem("unavailable", "the test is over"));
    expect([got, group.parted]).toEqual([[...wanted], []]);
  },
  SLOWEST_MS,
);

test("each machine takes the weights of its layers, and at both ends the embedding, which is the head too", () => {
  const share = (start: number, end: number) =>
    (load({ start, end }).facts.weightBytes / whole.facts.weightBytes).toFixed(3);
  // The embedding is 0.324 of this model, and the layers share what is left.
  expect([share(0, 15), share(15, 30), share(10, 25), share(0, 30)]).toEqual([
    "0.662",
    "0.662",
    "0.338",
    "1.000",
  ]);
});
