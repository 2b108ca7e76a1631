/** One model over several stages must say what it says on one machine, to the bit, whatever happens in between. */
import { expect, test } from "bun:test";
import { builtMlx } from "#ffi/built-library";
import type { Delta, Generation } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";
import { Problem, problemBody } from "#protocol/problem";
import type { Computer } from "./engine/computer.ts";
import { Engine } from "./engine/engine.ts";
import { letters } from "./engine/fake-model.ts";
import type { Limits } from "./engine/limits.ts";
import { tinyModel } from "./engine/tiny-model.ts";
import type { Loaded } from "./loading.ts";
import { type GroupOptions, memoryGroup } from "./memory-group.ts";

const mlx = builtMlx();
const LAYERS = 4;
const clock = { nowMs: () => 0 };

interface Options {
  readonly window?: number;
  readonly limits?: Partial<Limits>;
  readonly freeBytes?: readonly (() => number)[];
}

/** The tiny model cut before these layers. */
function stagesOf(cuts: readonly number[], { window, limits = {}, freeBytes = [] }: Options = {}): Loaded[] {
  const ends = [...cuts, LAYERS];
  return ends.map((end, stage) => {
    const range = { start: ends[stage - 1] ?? 0, end };
    const model = tinyModel(mlx, { layers: LAYERS, range, ...(window && { window }) });
    const free = freeBytes[stage];
    const layers = { mlx, model, ...(free && { freeBytes: free }) };
    const engine = (computer?: Computer) =>
      new Engine({ ...layers, text: letters, clock, limits, ...(computer && { computer }) });
    return {
      layers,
      engine: end === LAYERS ? engine : undefined,
      window,
      rest: () => {},
      facts: {} as Loaded["facts"],
    };
  });
}

type Heard = Delta | { readonly failed: string };

function asker(engine: Engine) {
  return (id: string, tokens: readonly number[], more: Partial<Generation> = {}): Heard[] => {
    const heard: Heard[] = [];
    const generation: Generation = {
      id: id as RequestId,
      model: "tiny",
      prompt: { type: "tokens", tokens: [...tokens] },
      sampling: { seed: 11 },
      stop: [],
      ignoreEos: true,
      maxTokens: 24,
      logprobs: 3,
      ...more,
    };
    engine.submit(generation, {
      delta: (delta) => heard.push(delta.type === "finish" ? { ...delta, timings: NO_TIME } : delta),
      failed: (error) => heard.push({ failed: problemBody(error).message }),
    });
    return heard;
  };
}
const OVER = new Problem("unavailable", "the test is over");
const NO_TIME = { queueMs: 0, prefillMs: 0, decodeMs: 0 };

/** What a number of requests hear, of one machine (no cuts) or a group. */
function world(cuts: readonly number[] | undefined, options: Options = {}, group: GroupOptions = {}) {
  if (cuts) {
    const made = memoryGroup(stagesOf(cuts, options), group);
    return { ...made, ask: asker(made.engine) };
  }
  const { window, limits = {} } = options;
  const model = tinyModel(mlx, { layers: LAYERS, ...(window && { window }) });
  const engine = new Engine({ mlx, model, text: letters, clock, limits });
  const run = () => {
    while (engine.step());
  };
  return { engine, ask: asker(engine), step: () => engine.step(), run, members: [], parted: [] };
}

const PROMPT = Array.from({ length: 90 }, (_, i) => (i * 7 + (i >> 3)) % 26);
const SPLITS: readonly (readonly number[])[] = [[1], [2], [3], [1, 2], [1, 3], [2, 3], [1, 2, 3]];
const GREEDY = { sampling: { temperature: 0 } };

/** Several requests, one after the other and at once, with every sampler and with scores. */
function conversation({ ask, run }: ReturnType<typeof world>): readonly (readonly Heard[])[] {
  const first = ask("first", PROMPT);
  run();
  const together = [
    ask("again", PROMPT, GREEDY),
    ask("other", PROMPT.toReversed(), { sampling: { seed: 3, topP: 0.9, repetitionPenalty: 1.2 } }),
    ask("short", [5]),
    ask("scored", PROMPT.slice(0, 70), { promptLogprobs: true, maxTokens: 3 }),
    ask("none", PROMPT.slice(9), { maxTokens: 0 }),
  ];
  run();
  // By itself: how much it finds computed must not depend on who else is how far.
  const turn = ask("turn", [...PROMPT, 4, 8, 15, 16, 23], GREEDY);
  run();
  return [first, ...together, turn];
}

/** Cached tokens depend on who ran when. */
const said = (all: readonly (readonly Heard[])[]) =>
  all.map((heard) =>
    heard.map((each) =>
      "type" in each && each.type === "finish"
        ? { reason: each.reason, tokens: each.usage.completionTokens }
        : each,
    ),
  );

test.each([
  ["full attention", {}],
  ["a sliding window", { window: 16 }],
  ["chunks of seven tokens", { limits: { prefillChunk: 7 } }],
  ["a sliding window in chunks of seven", { window: 16, limits: { prefillChunk: 7 } }],
] satisfies [string, Options][])(
  "with %s every split says what one machine says, to the bit",
  (_, options) => {
    const alone = world(undefined, options);
    const wanted = said(conversation(alone));
    alone.engine.release();
    const wrong = SPLITS.filter((cuts) => {
      const group = world(cuts, options);
      const got = said(conversation(group));
      for (const member of group.members) member.leave(OVER);
      return group.parted.length > 0 || !Bun.deepEquals(got, wanted);
    });
    expect([wanted.map((heard) => heard.length), wrong]).toEqual([[26, 26, 26, 26, 5, 2, 26], []]);
  },
);

/** As `conversation`, but each goes when it may: only the tokens are compared, as bits depend on where chunks end. */
function crowd({ ask, step, run, engine }: ReturnType<typeof world>): readonly (readonly Heard[])[] {
  const heard = Array.from({ length: 12 }, (_, i) => {
    const all = ask(`r${i}`, PROMPT.slice(i % 3, 40 + 4 * i), {
      sampling: { seed: i },
      maxTokens: 5 + 2 * i,
    });
    for (let steps = 0; steps < 3; steps++) step();
    if (i % 4 === 3) engine.cancel(`r${i - 1}` as RequestId);
    return all;
  });
  run();
  return heard;
}

const tokensOf = (heard: readonly Heard[]) =>
  heard.flatMap((each) => ("type" in each && each.type === "text" ? each.tokens : []));

test("requests that come, go and are cancelled at any time say what they say on one machine", () => {
  const wanted = crowd(world(undefined)).map(tokensOf);
  const handles = mlx.liveHandles();
  const wrong = SPLITS.filter((cuts) => {
    const group = world(cuts, { limits: { prefillChunk: 16 } });
    const got = crowd(group);
    const ends = group.members.map(({ idle }) => idle);
    for (const member of group.members) member.leave(OVER);
    return !got.every((heard, i) => {
      const last = heard.at(-1);
      const isCancelled = last !== undefined && "failed" in last;
      const tokens = tokensOf(heard);
      const same = Bun.deepEquals(tokens, isCancelled ? wanted[i]?.slice(0, tokens.length) : wanted[i]);
      return same && ends.every(Boolean);
    });
  });
  expect(wrong).toEqual([]);
  expect(mlx.liveHandles()).toBeLessThanOrEqual(handles + SPLITS.length * LAYERS * 20);
});
