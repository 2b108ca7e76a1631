import { expect, test } from "bun:test";
import { decodedBytes, type ModelShape } from "../peers-weights.ts";
import { atLeast, atMost, bestOf, extentOf, ratioFigure, reached, type Series } from "./figure.ts";
import { figuresMarkdown, figuresText, type Kept, type Measured } from "./report.ts";
import { inTurns, turned } from "./rounds.ts";
import { decodeMs, prefillMs } from "./timing.ts";

const ours: Series = { of: "exo, decode", unit: "tok/s", threads: 2, values: [90, 120, 100] };
const theirs: Series = { of: "llama.cpp, decode", unit: "tok/s", threads: 1, values: [60, 100, 80] };

test("a ratio is taken round by round, so that a slow minute of both does not count", () => {
  expect(ratioFigure("decode", ours, theirs, atLeast(1.2))).toEqual({
    measure: "decode",
    extent: { median: 1.25, least: 1.2, most: 1.5 },
    unit: "",
    goal: { is: "at least", value: 1.2 },
    from: ["exo, decode, 2 threads", "llama.cpp, decode, 1 thread"],
  });
});

test("rounds that one side did not run cannot be set against the other's", () => {
  expect(() => ratioFigure("decode", ours, { ...theirs, values: [60] })).toThrow("3 rounds cannot be set");
});

test("each side competes with the number of threads that is fastest in the middle of its rounds", () => {
  const lucky: Series = { ...ours, threads: 1, values: [10, 500, 20] };
  expect(bestOf([lucky, ours])).toBe(ours);
});

test("a goal is reached by the median, from above or from below", () => {
  const figure = { measure: "", extent: extentOf([1, 2, 9]), unit: "s", from: [] } as const;
  const goals = [atLeast(2), atLeast(2.1), atMost(2), atMost(1.9)];
  expect(goals.map((goal) => reached({ ...figure, goal }))).toEqual([true, false, true, false]);
  expect(reached(figure)).toBeUndefined();
});

test("prefill lasts until the first token, per token of the prompt", () => {
  expect(prefillMs({ ids: [7, 8], ms: [50, 60] }, 100)).toBe(0.5);
});

test("decode counts the tokens that came after the first, and not those that came with it", () => {
  expect(decodeMs([{ ids: [1, 2, 3, 4], ms: [100, 100, 110, 120] }])).toBe(10);
});

test("streams are timed together only while all of them answer", () => {
  const early = { ids: [1, 2, 3, 4], ms: [0, 10, 20, 30] };
  const late = { ids: [1, 2, 3, 4], ms: [10, 20, 30, 40] };
  // From 10 to 30 ms both said two.
  expect(decodeMs([early, late])).toBe(5);
});

test("every round runs every task once, another one first", async () => {
  const order: string[] = [];
  const task = (name: string, ms: number) => ({
    name,
    measure: async () => {
      order.push(name);
      return ms;
    },
  });
  const taken = await inTurns([task("a", 1), task("b", 2), task("c", 3)], 3);
  expect({ order: order.join(""), taken: [...taken] }).toEqual({
    order: "abcbcacab",
    taken: [
      ["a", [1, 1, 1]],
      ["b", [2, 2, 2]],
      ["c", [3, 3, 3]],
    ],
  });
});

test("a task that fails ends the rounds with its own words", async () => {
  const broken = { name: "broken", measure: () => Promise.reject(new Error("the side ended")) };
  await expect(inTurns([broken], 2)).rejects.toThrow("the side ended");
});

test("there is no first of nothing", () => {
  expect(turned([], 3)).toEqual([]);
});

test("a token reads every weight but the embedding, of which it needs one row", () => {
  const shape: ModelShape = {
    layers: 1,
    hidden: 64,
    feedForward: 128,
    heads: 2,
    kvHeads: 1,
    vocabulary: 320,
    context: 64,
  };
  // q and output 64 x 64, k and v 32 x 64, three of 128 x 64, the head 320 x 64; three norms of 64 float32.
  const packed = (2 * 64 * 64 + 2 * 32 * 64 + 3 * 128 * 64 + 320 * 64) / 32;
  expect([decodedBytes(shape, "Q4_0"), decodedBytes(shape, "Q4_1")]).toEqual([
    packed * 18 + 3 * 64 * 4,
    packed * 20 + 3 * 64 * 4,
  ]);
});

const measured: Measured = {
  commit: "abc1234",
  at: "2026-01-01T00:00:00.000Z",
  machine: "a processor, 2 cores, 25 GB",
  warnings: ["5 % of the processors' time went to other programs"],
  rounds: 3,
  outcome: {
    series: [ours, theirs],
    figures: [ratioFigure("decode, exo / llama.cpp", ours, theirs, atLeast(1.5))],
    notes: ["prompt of 64 tokens"],
    versions: {},
  },
};
const { outcome: _, ...broken } = { ...measured, failure: "no model" };
const kept: Kept = { schema: "exo.figures/1", parts: { decode: measured, start: broken } };

test("the text says what was missed, by how much, what failed and what disturbed", () => {
  expect(figuresText(kept, ["decode", "start", "never run"])).toBe(
    `PART    MEASURE                  MEDIAN (LEAST–MOST)  GOAL
decode  decode, exo / llama.cpp  1.25 (1.20–1.50)     ≥ 1.5  not reached: 16.7 % short (disturbed)
start   failed: no model         –                    –      failed

SERIES                       MEDIAN (LEAST–MOST)
exo, decode, 2 threads       100 tok/s (90.0–120)
llama.cpp, decode, 1 thread  80.0 tok/s (60.0–100)

decode: abc1234, 2026-01-01T00:00:00.000Z, a processor, 2 cores, 25 GB, 3 rounds; prompt of 64 tokens; 5 % of the processors' time went to other programs
start: abc1234, 2026-01-01T00:00:00.000Z, a processor, 2 cores, 25 GB, 3 rounds; 5 % of the processors' time went to other programs
0 of 1 goals reached, 1 parts failed
`,
  );
});

test("the README's table names machine and commit once, and what each ratio is made of", () => {
  expect(figuresMarkdown(kept, ["decode", "start"])).toBe(
    `a processor, 2 cores, 25 GB; commit abc1234; medians of 3 rounds in which the sides take turns, each at its best number of threads, token ids in
and out without HTTP (\`bun bench/figures.ts\`); ratios are of runs of one round, least and most in parentheses.

| measure | of | over | figure | goal | |
|---|---|---|---|---|---|
| decode, exo / llama.cpp | 100 tok/s (2 thr) | 80.0 tok/s (1 thr) | 1.25 (1.20–1.50) | ≥ 1.5 | not reached: 16.7 % short (disturbed) |
| failed: no model | – | – | – | – | failed |
`,
  );
});
