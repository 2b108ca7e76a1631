import { expect, test } from "bun:test";
import type { Delta, Generation } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";
import { Engine } from "./engine.ts";
import { END, type FakeOptions, fakeModel, letters } from "./fake-model.ts";
import type { Limits } from "./limits.ts";

const SYSTEM = "abcdefghijklmnopqrstuvwx".repeat(4);
/** Two letters y, then the end; it notices when what the caches hold is not what was said. */
const next: FakeOptions["next"] = (tokens) => (tokens.slice(-2).every((token) => token === 24) ? END : 24);

function world(limits: Partial<Limits> = {}, fake: Partial<FakeOptions> = {}) {
  const { mlx, model, runs } = fakeModel({ next, ...fake });
  const engine = new Engine({
    mlx,
    model,
    text: letters,
    clock: { nowMs: () => 0 },
    defaults: { temperature: 0 },
    limits: { prefillChunk: 64, ...limits },
  });
  let count = 0;
  const submit = (
    text: string,
  ): { readonly cached: () => number | undefined; readonly text: () => string } => {
    const heard: Delta[] = [];
    const generation = {
      id: `r${count++}` as RequestId,
      model: "m",
      prompt: { type: "text", text },
      sampling: {},
      stop: [],
    };
    engine.submit(generation as Generation, {
      delta: (delta) => heard.push(delta),
      failed: () => heard.push(),
    });
    return {
      cached: () => heard.flatMap((delta) => (delta.type === "finish" ? delta.usage.cachedTokens : []))[0],
      text: () => heard.map((delta) => (delta.type === "text" ? delta.text : "")).join(""),
    };
  };
  const run = () => {
    while (engine.step());
  };
  /** What each of these prompts, one after the other, found in the cache. */
  const cached = (...prompts: readonly string[]) =>
    prompts.map((prompt) => {
      const request = submit(prompt);
      run();
      return request.cached();
    });
  return { engine, runs, submit, run, cached };
}

test("the next turn of a chat computes only what is new", () => {
  const { cached, runs } = world();
  const turn = `${SYSTEM}p`;
  expect(cached(turn, `${turn}yyq`)).toEqual([0, SYSTEM.length + 3]);
  expect(runs).toEqual([
    "64 hidden",
    "32 hidden",
    "1 last",
    "1 last",
    "1 last",
    "1 last",
    "1 last",
    "1 last",
  ]);
});

test("the same prompt again computes its last token only", () => {
  const { cached } = world();
  expect(cached(SYSTEM, SYSTEM)).toEqual([0, SYSTEM.length - 1]);
});

test("several answers to one prompt share its prefill, though asked for at once", () => {
  const { submit, run, runs } = world();
  const requests = [submit(SYSTEM), submit(SYSTEM), submit(SYSTEM)];
  run();
  expect({
    cached: requests.map(({ cached }) => cached()),
    texts: requests.map(({ text }) => text()),
    hidden: runs.filter((entry) => entry.endsWith("hidden")),
  }).toEqual({
    cached: [0, SYSTEM.length - 1, SYSTEM.length - 1],
    texts: ["yy", "yy", "yy"],
    hidden: ["64 hidden", "31 hidden"],
  });
});

test("a conversation that shares only the beginning leaves the other's history alone", () => {
  const { cached } = world();
  const long = `${SYSTEM}${"r".repeat(200)}`;
  expect(cached(long, `${SYSTEM}s`, `${long}yyt`)).toEqual([0, SYSTEM.length, long.length + 2]);
});

test("a beginning too short to matter is computed anew", () => {
  const { cached } = world();
  expect(cached("abcdefgh", "abcdefgh")).toEqual([0, 0]);
});

test("the sequence used longest ago is forgotten first, by number and by memory", () => {
  const prompts = ["a", "b", "c"].map((letter) => letter.repeat(30));
  const revisit = [...prompts, ...["c", "b", "a"].map((letter) => letter.repeat(30))];
  expect([
    world({ prefixEntriesMax: 2 }).cached(...revisit),
    world({ prefixBytesMax: 70 }).cached(...revisit),
    world({ prefixBytesMax: 20 }).cached(...revisit),
  ]).toEqual([
    [0, 0, 0, 29, 29, 0],
    [0, 0, 0, 29, 29, 0],
    [0, 0, 0, 0, 0, 0],
  ]);
});

test("caches that cannot be taken back serve only what goes on from them", () => {
  const { cached } = world({}, { trimmable: false });
  const turn = `${SYSTEM}p`;
  expect(cached(turn, turn, `${turn}yyq`)).toEqual([0, 0, SYSTEM.length + 3]);
});

test("what a cancelled request computed serves the next", () => {
  const { engine, submit, run } = world();
  submit(SYSTEM);
  engine.step();
  engine.cancel("r0" as RequestId);
  const again = submit(SYSTEM);
  run();
  expect(again.cached()).toBe(64);
});

test("memory kept for later is bounded and given back on release", () => {
  const { engine, cached } = world({ prefixBytesMax: 300 });
  cached(...["a", "b", "c", "d", "e"].map((letter) => letter.repeat(100)));
  const kept = engine.load.prefixBytes;
  engine.release();
  expect([kept > 0 && kept <= 300, engine.load.prefixBytes]).toEqual([true, 0]);
});
