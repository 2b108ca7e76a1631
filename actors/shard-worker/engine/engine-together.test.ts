/** Answers under way are computed in one pass: who comes, goes or fails must not matter to the others. */
import { expect, test } from "bun:test";
import type { Generation } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";
import { Engine } from "./engine.ts";
import { type FakeOptions, fakeModel, idOf, letters } from "./fake-model.ts";
import type { Limits } from "./limits.ts";

function world(fake: FakeOptions, limits: Partial<Limits> = {}) {
  const { mlx, model, runs } = fakeModel(fake);
  const clock = { nowMs: () => 0 };
  const engine = new Engine({ mlx, model, text: letters, clock, defaults: { temperature: 0 }, limits });
  const ask = (id: string, text: string, more: Partial<Generation> = {}, then?: () => void) => {
    const heard: string[] = [];
    const generation: Generation = {
      id: id as RequestId,
      model: "m",
      prompt: { type: "text", text },
      sampling: {},
      stop: [],
      ...more,
    };
    engine.submit(generation, {
      delta: (delta) => {
        if (delta.type === "text") heard.push(delta.text);
        if (delta.type === "finish") heard.push(`/${delta.reason}`);
        if (delta.type === "text") then?.();
      },
      failed: (error) => heard.push(`!${error instanceof Error ? error.message : error}`),
    });
    return heard;
  };
  const run = () => {
    while (engine.step());
  };
  return { engine, ask, run, runs };
}

const alphabet: FakeOptions = { next: (tokens) => (tokens.at(-1) ?? 0) + 1 };

test("requests join and leave a pass at any step", () => {
  const { engine, ask, run, runs } = world(alphabet);
  const first = ask("first", "t");
  engine.step();
  const second = ask("second", "x");
  const third = ask("third", "w");
  run();
  expect([first, second, third].map((heard) => heard.join(""))).toEqual([
    "uvwxyz/stop",
    "yz/stop",
    "xyz/stop",
  ]);
  expect(runs.filter((each) => each === "3 each").length).toBeGreaterThan(0);
});

test("what one answer's client cancels is not said by another of the same pass", () => {
  const { engine, ask, run } = world(alphabet);
  const third = () => engine.cancel("second" as RequestId);
  ask("first", "s", { maxTokens: 3 }, third);
  const second = ask("second", "s");
  run();
  expect(second).toEqual(["!request second was cancelled"]);
});

test("a pass that fails costs only the request whose fault it is", () => {
  const { ask, run } = world({
    next: (tokens) => {
      if (tokens.includes(idOf("q"))) throw new Error("numbers went bad");
      return (tokens.at(-1) ?? 0) + 1;
    },
  });
  const [one, bad, two] = [ask("one", "m"), ask("bad", "o"), ask("two", "v")];
  run();
  expect([one, bad, two].map((heard) => heard.join(""))).toEqual([
    "nopq!numbers went bad",
    "pq!numbers went bad",
    "wxyz/stop",
  ]);
});

test("a row without numbers ends its own request only", () => {
  const { ask, run } = world({
    next: (tokens) => (tokens.includes(idOf("c")) ? Number.NaN : (tokens.at(-1) ?? 0) + 1),
  });
  const [bad, good] = [ask("bad", "a"), ask("good", "w")];
  run();
  expect([bad.slice(0, 2), bad[2]?.startsWith("!"), good.join("")]).toEqual([["b", "c"], true, "xyz/stop"]);
});

test("a request waits for what another computes of its prompt no longer than there is more of it to take", () => {
  const until: unknown[] = [];
  // Chunks that leave traces are taken over whole or not at all; of those that leave none too little of the second prompt would remain.
  for (const [chunksAlike, own] of [
    [false, 40],
    [true, 4],
  ] as const) {
    const { engine, ask, runs } = world(alphabet, { prefillChunk: 64, chunksAlike });
    ask("long", "a".repeat(100) + "b".repeat(900), { maxTokens: 1 });
    engine.step();
    const heard: number[] = [];
    ask("short", "a".repeat(100) + "c".repeat(own), { maxTokens: 1 }, () => heard.push(runs.length));
    while (heard.length === 0 && engine.step());
    until.push(...heard);
  }
  // Two chunks of the long one, then in turns, of three chunks of its own at most and its token.
  expect(until).toEqual([7, 5]);
});
