import { expect, test } from "bun:test";
import type { Delta, Generation } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";
import { Problem, problemBody } from "#protocol/problem";
import { Engine } from "./engine.ts";
import type { EnginePorts } from "./engine-ports.ts";
import { END, type FakeOptions, fakeModel, idOf, letters } from "./fake-model.ts";

/** After each letter comes the next of the alphabet, after z the end. */
const alphabet: FakeOptions = { next: (tokens) => (tokens.at(-1) ?? 0) + 1 };

type Asked = Partial<Omit<Generation, "id">> & { readonly text?: string };

function world(fake: FakeOptions, options: Partial<EnginePorts> = {}) {
  const { mlx, model, runs } = fakeModel(fake);
  let now = 0;
  const clock = { nowMs: () => now++ };
  const engine = new Engine({ mlx, model, text: letters, clock, defaults: { temperature: 0 }, ...options });
  /** What a request's client heard, in order. */
  const ask = (id: string, { text = "a", ...more }: Asked = {}, heard: Heard[] = [], then?: () => void) => {
    const generation = {
      id: id as RequestId,
      model: "m",
      prompt: { type: "text", text },
      sampling: {},
      stop: [],
      ...more,
    };
    engine.submit(generation as Generation, {
      delta: (delta) => {
        heard.push(delta);
        then?.();
      },
      failed: (error) => heard.push({ type: "failed", ...problemBody(error) }),
    });
    return heard;
  };
  const run = () => {
    for (let steps = 0; engine.step(); steps++)
      if (steps > 10_000) throw new Error("the engine does not come to rest");
  };
  return { engine, ask, run, runs };
}

type Heard = Delta | { readonly type: "failed"; readonly kind: string; readonly message: string };

/** `text/reason`, or what went wrong. */
function summary(heard: readonly Heard[]): string {
  return heard
    .map((delta) => {
      if (delta.type === "text") return delta.text;
      if (delta.type === "finish") return `/${delta.reason}${delta.stop ? `:${delta.stop}` : ""}`;
      return delta.type === "failed" ? `!${delta.kind}` : "";
    })
    .join("");
}

const answer = (fake: FakeOptions, asked: Asked = {}, options: Partial<EnginePorts> = {}): string => {
  const { ask, run } = world(fake, options);
  const heard = ask("r", asked);
  run();
  return summary(heard);
};

test("a request hears its prompt, its text token by token, and how it went", () => {
  const { ask, run } = world(alphabet);
  const heard = ask("r", { text: "wx" });
  run();
  expect(heard).toEqual([
    { type: "started", promptTokens: [22, 23] },
    { type: "text", text: "y", tokens: [24], index: 0 },
    { type: "text", text: "z", tokens: [25], index: 1 },
    { type: "text", text: "", tokens: [END], index: 2 },
    {
      type: "finish",
      reason: "stop",
      usage: { promptTokens: 2, cachedTokens: 0, completionTokens: 3 },
      timings: { queueMs: 1, prefillMs: 3, decodeMs: 1 },
    },
  ]);
});

test.each([
  ["at the end token", {}, "uvwxyz/stop"],
  ["after maxTokens", { maxTokens: 2 }, "uv/length"],
  ["before the first token where none is asked for", { maxTokens: 0 }, "/length"],
  ["at a stop token", { stopTokens: [idOf("w")] }, "uv/stop"],
  ["at a stop string, which is not shown", { stop: ["wx"] }, "uv/stop:wx"],
  ["at the end token though text was held back", { stop: ["z!"] }, "uvwxyz/stop"],
  ["after maxTokens though text was held back", { stop: ["vx"], maxTokens: 2 }, "uv/length"],
  ["at a stop string only after minTokens", { stop: ["v", "y"], minTokens: 3 }, "uvwx/stop:y"],
] satisfies [string, Asked, string][])("an answer ends %s", (_, asked, expected) => {
  expect(answer(alphabet, { text: "t", ...asked })).toBe(expected);
});

test("end tokens are not chosen before minTokens, and go by with ignoreEos", () => {
  const stubborn: FakeOptions = { next: () => END };
  expect([
    answer(stubborn, { minTokens: 3 }),
    answer(stubborn, { ignoreEos: true, maxTokens: 2 }),
    answer(stubborn, { ignoreEos: true, stopTokens: [END] }),
  ]).toEqual(["aaa/stop", "/length", "/stop"]);
});

test("half a character at the end is shown as such", () => {
  expect([
    answer({ next: (tokens) => (tokens.at(-1) === 27 ? 28 : 27) }, { maxTokens: 2 }),
    answer({ next: () => 27 }, { maxTokens: 2 }),
  ]).toEqual(["é/length", "\ufffd/length"]);
});

test("a stop string ends the answer wherever the tokens cut it", () => {
  const text = "bcdefg";
  const outcomes = new Set<string>();
  for (let from = 0; from < text.length; from++) {
    for (let to = from + 1; to <= text.length; to++) {
      const stop = text.slice(from, to);
      const expected = `${text.slice(0, from)}/stop:${stop}`;
      outcomes.add(answer(alphabet, { stop: [stop] }) === expected ? "as expected" : stop);
    }
  }
  expect([...outcomes]).toEqual(["as expected"]);
});

test("an answer goes on until the context is full", () => {
  expect(answer({ ...alphabet, contextLength: 5 }, { text: "abc" })).toBe("de/length");
});

test("a prompt that leaves no room is refused with both numbers", () => {
  const { ask } = world({ ...alphabet, contextLength: 4 });
  let thrown: unknown;
  try {
    ask("r", { text: "abcde" });
  } catch (error) {
    thrown = error;
  }
  expect(problemBody(thrown)).toEqual({
    kind: "contextLength",
    message: "This model's maximum context length is 4 tokens, but the prompt has 5 tokens",
    param: "prompt",
    remedy: "shorten the prompt to at most 3 tokens",
  });
});

test.each([
  [{ prompt: { type: "tokens", tokens: [1, 99] } }, "prompt: token 99 is not in the vocabulary of 32"],
  [{ sampling: { logitBias: { "32": 1 } } }, "logit_bias: token 32 is not in the vocabulary of 32"],
  [{ stopTokens: [77] }, "stop_token_ids: token 77 is not in the vocabulary of 32"],
  [{ text: "" }, "the prompt is empty"],
] satisfies [Asked, string][])("%j is refused", (asked, message) => {
  const { ask } = world(alphabet);
  expect(() => ask("r", asked)).toThrow(new Problem("invalid", message));
});

test("a prompt is prefilled in chunks, its last token apart", () => {
  const { ask, run, runs } = world(alphabet, { limits: { prefillChunk: 4 } });
  ask("r", { text: "aaaaaaaaay" });
  run();
  expect(runs).toEqual(["4 hidden", "4 hidden", "1 hidden", "1 last", "1 last"]);
});

test("a long prompt does not hold up another's answer", () => {
  const { engine, ask } = world(alphabet, { limits: { prefillChunk: 2 } });
  const order: string[] = [];
  ask("short", { text: "s", maxTokens: 3 }, [], () => order.push("short"));
  ask("long", { text: "qqqqqqqqq", maxTokens: 1 }, [], () => order.push("long"));
  while (engine.step()) order.push("-");
  expect(order.join(" ")).toBe("short short - long - short - - short short - - - long long -");
});

test("what is over the limits waits, and beyond that is refused", () => {
  const { ask, run, engine } = world(alphabet, { limits: { activeMax: 1, queuedMax: 1 } });
  const first = ask("1", { text: "x" });
  const second = ask("2", { text: "y" });
  const before = engine.load;
  expect(() => ask("3")).toThrow("1 requests are at work and 1 wait: no more are taken");
  run();
  expect([before, summary(first), summary(second), engine.load]).toEqual([
    { active: 1, queued: 1, prefixBytes: 0 },
    "yz/stop",
    "z/stop",
    { active: 0, queued: 0, prefixBytes: 0 },
  ]);
});

test("cancelling works in the queue, in prefill, in decode and from the sink itself", () => {
  const { engine, ask, run } = world(alphabet, { limits: { activeMax: 3, prefillChunk: 1 } });
  const cancel = (id: string) => engine.cancel(id as RequestId);
  const decoding = ask("decoding", { text: "t" });
  const prefilling = ask("prefilling", { text: "tttttttt" });
  const own: Heard[] = [];
  ask("own", { text: "t" }, own, () => own.length === 3 && cancel("own"));
  const queued = ask("queued", { text: "t" });
  const last = ask("last", { text: "x" });
  for (let i = 0; i < 4; i++) engine.step();
  for (const id of ["decoding", "prefilling", "queued", "unknown"]) cancel(id);
  run();
  expect([decoding, prefilling, own, queued, last].map(summary)).toEqual([
    "uv!cancelled",
    "!cancelled",
    "uv!cancelled",
    "!cancelled",
    "yz/stop",
  ]);
});

test("an error ends the request it befell and no other", () => {
  const { ask, run } = world({
    next: (tokens) => {
      if (tokens.includes(idOf("q"))) throw new Error("numbers went bad");
      return (tokens.at(-1) ?? 0) + 1;
    },
  });
  const bad = ask("bad", { text: "o" });
  const good = ask("good", { text: "w" });
  run();
  expect([bad.at(-1), summary(good)]).toEqual([
    { type: "failed", kind: "internal", message: "numbers went bad" },
    "xyz/stop",
  ]);
});

test("release ends all requests and gives their memory back", () => {
  const { engine, ask } = world(alphabet, { limits: { activeMax: 1 } });
  const [first, second] = [ask("1"), ask("2")];
  engine.step();
  engine.release();
  expect([summary(first), summary(second), engine.load, engine.step()]).toEqual([
    "b!unavailable",
    "!unavailable",
    { active: 0, queued: 0, prefixBytes: 0 },
    false,
  ]);
});

const score = (id: number, rival: number) => {
  // One logit of 8 over 31 of 0.
  const logprob = expect.closeTo((id === rival ? 0 : -8) - Math.log1p(31 * Math.exp(-8)), 6);
  return { id, text: String.fromCharCode(97 + id), bytes: [97 + id], logprob };
};

test("logprobs score each token and its rivals, but not the end token", () => {
  const { ask, run } = world(alphabet);
  const heard = ask("r", { text: "y", logprobs: 2 });
  run();
  expect(heard.slice(1, 3)).toEqual([
    {
      type: "text",
      text: "z",
      tokens: [25],
      index: 0,
      logprobs: [{ ...score(25, 25), top: [score(25, 25), score(0, 25)] }],
    },
    { type: "text", text: "", tokens: [END], index: 1, logprobs: [] },
  ]);
});

test("a prompt is scored without an answer", () => {
  const { ask, run, runs } = world(alphabet, { limits: { prefillChunk: 2 } });
  const heard = ask("r", { text: "abd", maxTokens: 0, promptLogprobs: true, logprobs: 1 });
  run();
  expect([heard[0], summary(heard), runs]).toEqual([
    {
      type: "started",
      promptTokens: [0, 1, 3],
      promptTexts: ["a", "b", "d"],
      promptLogprobs: [null, { ...score(1, 1), top: [score(1, 1)] }, { ...score(3, 2), top: [score(2, 2)] }],
    },
    "/length",
    ["2 all"],
  ]);
});
