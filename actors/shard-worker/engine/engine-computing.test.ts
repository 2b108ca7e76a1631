/** The token loop over the real library: what it says must not depend on how it was computed, nor leave anything behind. */
import { expect, test } from "bun:test";
import type { Generation } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";
import { asker, mlx, tokensOf } from "../tiny-group.ts";
import { Engine } from "./engine.ts";
import { letters } from "./fake-model.ts";
import type { Limits } from "./limits.ts";
import { Sequence } from "./sequence.ts";
import { tinyModel } from "./tiny-model.ts";

const models = {
  full: tinyModel(mlx),
  sliding: tinyModel(mlx, { window: 16 }),
  small: tinyModel(mlx, { layers: 1 }),
};

function world(model: keyof typeof models, limits: Partial<Limits> = {}) {
  const engine = new Engine({ mlx, model: models[model], text: letters, clock: { nowMs: () => 0 }, limits });
  const asked = asker(engine);
  const ask = (id: string, tokens: readonly number[], more: Partial<Generation> = {}) =>
    asked(id, tokens, { maxTokens: 40, ...more });
  const run = () => {
    while (engine.step());
  };
  return { engine, ask, run };
}

const PROMPT = Array.from({ length: 50 }, (_, i) => (i * 7) % 26);

test.each(["full", "sliding"] as const)(
  "%s attention: a request's text is the same however it is computed",
  (model) => {
    const alone = world(model);
    const whole = alone.ask("whole", PROMPT);
    alone.run();

    const chunked = world(model, { prefillChunk: 7 });
    const inChunks = chunked.ask("chunks", PROMPT);
    const beside = chunked.ask("beside", PROMPT.toReversed(), { sampling: { seed: 4 } });
    chunked.run();

    // The same prompt again, from the prefix cache; then the answer's first half handed in as prompt.
    const again = alone.ask("again", PROMPT);
    alone.run();
    const said = tokensOf(whole);
    const rest = alone.ask("rest", [...PROMPT, ...said.slice(0, 20)], { maxTokens: 20 });
    alone.run();

    alone.engine.release();
    chunked.engine.release();
    const got = [inChunks, again, rest].map(tokensOf);
    expect([...got, tokensOf(beside).length]).toEqual([said, said, said.slice(20), 40]);
  },
);

test("greedy answers do not repeat one token, so the comparisons above mean something", () => {
  const { ask, run, engine } = world("full");
  const heard = ask("r", PROMPT, { sampling: { temperature: 0 } });
  run();
  engine.release();
  expect(new Set(tokensOf(heard)).size).toBeGreaterThan(4);
});

test("5,000 tokens leave live handles and memory flat", () => {
  const { engine, ask, run } = world("small", { prefixEntriesMax: 2 });
  ask("warm", PROMPT, { maxTokens: 100 });
  run();
  engine.release();
  const before = { handles: mlx.liveHandles(), bytes: mlx.memory().activeBytes };

  const long = ask("long", PROMPT, { maxTokens: 4000, logprobs: 2 });
  const during: number[] = [];
  while (engine.step()) during.push(mlx.liveHandles());
  for (let i = 0; i < 25; i++) {
    ask(`short-${i}`, [...PROMPT.slice(i), i], { maxTokens: 40 });
    if (i % 5 === 0) engine.cancel(`short-${i}` as RequestId);
    if (i % 3 === 0) run();
  }
  run();
  engine.release();
  const after = { handles: mlx.liveHandles(), bytes: mlx.memory().activeBytes };
  const held = during.map((handles) => handles - before.handles);
  expect({ generated: tokensOf(long).length, mostHeld: Math.max(...held), after }).toEqual({
    generated: 4000,
    // Keys and values of its one layer.
    mostHeld: 2,
    after: before,
  });
}, 60_000);

test("answers computed together, joined and left at any time, leave live handles and memory flat", () => {
  const { engine, ask, run } = world("sliding", { prefixEntriesMax: 2 });
  ask("warm", PROMPT);
  run();
  engine.release();
  const before = { handles: mlx.liveHandles(), bytes: mlx.memory().activeBytes };
  const heard = Array.from({ length: 24 }, (_, i) => {
    const answer = ask(`r${i}`, PROMPT.slice(i), { maxTokens: 10 + 3 * i });
    for (let steps = 0; steps < 5; steps++) engine.step();
    if (i % 6 === 5) engine.cancel(`r${i - 2}` as RequestId);
    return answer;
  });
  run();
  engine.release();
  const cancelled = heard.filter((answer) => "failed" in (answer.at(-1) ?? {})).length;
  const after = { handles: mlx.liveHandles(), bytes: mlx.memory().activeBytes };
  expect({ cancelled, after }).toEqual({ cancelled: 4, after: before });
});

const CHUNK = 512;

/** Bytes that a chunk of a prompt takes beyond what is left of it afterwards. */
function bytesOnTheWay(layers: number): number {
  const sequence = new Sequence(mlx, tinyModel(mlx, { layers }));
  sequence.prefill([1]);
  mlx.native.reset_peak_memory();
  sequence.prefill(Array.from({ length: CHUNK }, (_, i) => i % 26));
  const { peakBytes, activeBytes } = mlx.memory();
  sequence.dispose();
  return peakBytes - activeBytes;
}

/**
 * What one layer of the tiny model makes if nothing of it is freed before its end: at most 17 results, of at most 48
 * numbers a token. How much of that is freed in time depends on how far MLX's threads are apart, so on the machine.
 */
const LAYER_BYTES = 17 * 48 * 4 * CHUNK;

test("what a prompt needs on its way through the layers is one layer's, however many there are", () => {
  const peaks = Array.from({ length: 10 }, () => bytesOnTheWay(12));
  expect(Math.max(...peaks)).toBeLessThan(LAYER_BYTES);
});
