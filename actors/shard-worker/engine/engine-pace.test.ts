/** How long the units of work are, on a clock that only prompts move. */
import { expect, test } from "bun:test";
import type { Generation } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";
import { problemBody } from "#protocol/problem";
import { Engine } from "./engine.ts";
import { fakeModel, letters } from "./fake-model.ts";
import { type Limits, limitsOf } from "./limits.ts";

/** A token of a prompt takes `pace.now` milliseconds, a token of an answer none. */
function world(pace: { now: number }, limits: Partial<Limits> = {}) {
  const failures: string[] = [];
  let nowMs = 0;
  const { mlx, model, runs } = fakeModel({
    next: () => 0,
    onRun: (tokens, wanted) => {
      if (wanted === "hidden") nowMs += tokens * pace.now;
    },
  });
  const engine = new Engine({ mlx, model, text: letters, clock: { nowMs: () => nowMs }, limits });
  const ask = (id: string, text: string, maxTokens: number) => {
    const generation: Generation = {
      id: id as RequestId,
      model: "m",
      prompt: { type: "text", text },
      sampling: { temperature: 0 },
      stop: [],
      maxTokens,
    };
    engine.submit(generation, {
      delta: () => {},
      failed: (error) => failures.push(`${id}: ${problemBody(error).message}`),
    });
  };
  const step = (times: number) => {
    for (let i = 0; i < times; i++) engine.step();
  };
  return { engine, ask, step, runs, failures };
}

test("beside an answer, a prompt's chunks last as long as its reader bears; alone they are whole", () => {
  const pace = { now: 1 };
  const { ask, step, runs } = world(pace);
  ask("short", "s", 7);
  ask("long", "q".repeat(2000), 1);
  step(8);
  pace.now = 10;
  step(8);
  expect(runs.filter((each) => each.endsWith("hidden"))).toEqual([
    "48 hidden", // of unknown pace
    "200 hidden", // 200 ms at 1 ms a token
    "200 hidden",
    "200 hidden",
    "200 hidden", // 2,000 ms: the pace is 10 now
    "48 hidden",
    "512 hidden", // the answer is over
    "512 hidden",
    "79 hidden",
  ]);
});

test("several prompts beside an answer share what its reader bears", () => {
  const { ask, step, runs } = world({ now: 1 });
  ask("short", "s", 40);
  ask("one", "q".repeat(900), 1);
  ask("two", "r".repeat(900), 1);
  step(9);
  expect(runs.map((each) => each.replace(" hidden", "")).join(" ")).toBe(
    "1 last 48 48 1 last 100 100 1 last 100 100",
  );
});

test("a limit that is no number of tokens is refused", () => {
  const room = { stages: 1, rowsMax: 100 };
  expect(() => limitsOf({ prefillChunk: Number.NaN }, room)).toThrow("a limit of NaN tokens (prefillChunk)");
  expect(() => limitsOf({}, { ...room, rowsMax: 0 })).toThrow("a limit of 0 tokens (prefillChunk)");
});

test("a chunk of no tokens ends its request, and the others go on", () => {
  const { engine, ask, step, failures } = world(
    { now: 1 },
    { prefillSharedMs: 1e9, prefillChunkMin: Number.NaN },
  );
  ask("short", "s", 20);
  ask("long", "q".repeat(600), 1);
  step(30);
  expect([failures, engine.load.active]).toEqual([["long: a chunk of no tokens after 0"], 0]);
});
