/** An answer whose worker was lost goes on in another as if nothing had been: what was delivered and what follows are one text. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Delta, Generation, Resume } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";
import { problemBody } from "#protocol/problem";
import { Engine } from "./engine.ts";
import { END, fakeModel, letters, VOCABULARY } from "./fake-model.ts";
import type { Limits } from "./limits.ts";

/** A model that looks at all it was given: one token lost, doubled or exchanged makes another text. */
const rule = (tokens: readonly number[]): number =>
  tokens.reduce((state, token) => (state * 31 + token * 7 + 3) % 65_521, 1) % VOCABULARY;

type Asked = Partial<Omit<Generation, "id">>;

function deltasOf(asked: Asked, prefillChunk = 512): Delta[] {
  const { mlx, model } = fakeModel({ next: rule, contextLength: 96 });
  const clock = { nowMs: () => 0 };
  const engine = new Engine({ mlx, model, text: letters, clock, limits: { prefillChunk } });
  const heard: Delta[] = [];
  const generation: Generation = {
    id: "r" as RequestId,
    model: "m",
    prompt: { type: "text", text: "once" },
    sampling: {},
    stop: [],
    ...asked,
  };
  engine.submit(generation, {
    delta: (delta) => heard.push(withoutStrides(delta)),
    failed: (error) => {
      throw error;
    },
  });
  while (engine.step());
  return heard;
}

/** Chunks of a few tokens, as the tests here have them, are told; who resumes an answer below has other chunks. */
const withoutStrides = (delta: Delta): Delta => {
  if (delta.type !== "text") return delta;
  const { strides: _, ...rest } = delta;
  return rest;
};

/** What a client that has these deltas tells the next worker. */
function resumeOf(deltas: readonly Delta[]): Resume {
  const texts = deltas.filter((delta) => delta.type === "text");
  return {
    tokens: texts.flatMap(({ tokens }) => tokens),
    textLength: texts.map(({ text }) => text).join("").length,
  };
}

/** Temperatures that the rule's peaks survive, and one that they do not. */
const sampling = fc.record(
  {
    temperature: fc.constantFrom(0, 1, 4),
    seed: fc.integer({ min: 0, max: 1000 }),
    repetitionPenalty: fc.constantFrom(1, 1.3),
    presencePenalty: fc.constantFrom(0, 0.5),
    frequencyPenalty: fc.constantFrom(0, 0.5),
    topP: fc.constantFrom(1, 0.9),
  },
  { requiredKeys: ["temperature", "seed"] },
);

const request = fc.record(
  {
    prompt: fc.string({ unit: fc.constantFrom(..."abcxyz"), minLength: 1, maxLength: 24 }),
    sampling,
    stop: fc.array(fc.string({ unit: fc.constantFrom(..."abcdefgé"), minLength: 1, maxLength: 3 }), {
      maxLength: 3,
    }),
    maxTokens: fc.integer({ min: 1, max: 60 }),
    minTokens: fc.integer({ min: 0, max: 8 }),
    ignoreEos: fc.boolean(),
    logprobs: fc.constantFrom(0, 2),
  },
  { requiredKeys: ["prompt", "sampling", "stop"] },
);

test("what was delivered and what another worker goes on with are the answer of one, wherever it is cut", () => {
  fc.assert(
    fc.property(request, fc.nat(), fc.constantFrom(1, 3, 512), ({ prompt: text, ...more }, place, chunk) => {
      const asked: Asked = { prompt: { type: "text", text }, ...more };
      const whole = deltasOf(asked);
      const cut = 1 + (place % (whole.length - 1));
      const delivered = whole.slice(0, cut);
      const rest = deltasOf({ ...asked, resume: resumeOf(delivered) }, chunk);
      expect([...delivered, ...rest.slice(1)]).toEqual(whole);
      expect(rest[0]).toEqual(whole[0]);
    }),
    { numRuns: 400 },
  );
});

test("an answer cut between the halves of a character goes on with the whole of it", () => {
  const asked: Asked = { sampling: { logitBias: { "27": 100 } }, maxTokens: 1 };
  const half = deltasOf(asked).slice(1, -1);
  const rest = deltasOf({
    sampling: { logitBias: { "28": 100 } },
    maxTokens: 2,
    resume: { tokens: [27], textLength: 0 },
  });
  expect([half, rest.slice(1, -1)]).toEqual([
    [{ type: "text", text: "\ufffd", tokens: [27], index: 0 }],
    [{ type: "text", text: "é", tokens: [28], index: 1 }],
  ]);
});

type Slow = Partial<Limits> & { waitMs?: number; stallMs?: number };

test("the answer so far goes through the model in tokens that are computed alike, and after much computing like a prompt", () => {
  const runsOf = (tokenMs: number, { waitMs = 0, stallMs = 0, ...more }: Slow = {}) => {
    let now = 0;
    const onRun = (tokens: number) => {
      now += tokens * tokenMs + (runs.length === 4 ? stallMs : 0);
    };
    const { mlx, model, runs } = fakeModel({ next: rule, onRun });
    const clock = { nowMs: () => now };
    const limits = { replayRows: 3, replayTokens: 9, replayMs: 100, prefillChunk: 8, ...more };
    const engine = new Engine({ mlx, model, text: letters, clock, limits });
    const resume = { tokens: Array.from({ length: 20 }, () => 27), textLength: 0 };
    const prompt = { type: "text", text: "abcdefghijkl" } as const;
    const request = {
      id: "r" as RequestId,
      model: "m",
      prompt,
      sampling: {},
      stop: [],
      maxTokens: 21,
      resume,
    };
    engine.submit(request, { delta: () => {}, failed: () => {} });
    while (engine.step()) now += waitMs;
    return runs.join(", ");
  };
  const threes = (count: number) => Array.from({ length: count }, () => "3 hidden, ").join("");
  expect([
    runsOf(1),
    runsOf(1, { waitMs: 1000 }),
    runsOf(12),
    runsOf(12, { replayTokens: 1000 }),
    // Not for ever, however few they were.
    runsOf(12, { replayTokens: 1000, replayMsMax: 50 }),
    // A machine that stood still for once is none that is slow.
    runsOf(1, { replayTokens: 1000, replayMsMax: 50, stallMs: 1000 }),
  ]).toEqual([
    `8 hidden, 3 hidden, ${threes(6)}2 hidden, 1 last`,
    `8 hidden, 3 hidden, ${threes(6)}2 hidden, 1 last`,
    `8 hidden, 3 hidden, ${threes(3)}8 hidden, 3 hidden, 1 last`,
    `8 hidden, 3 hidden, ${threes(6)}2 hidden, 1 last`,
    `8 hidden, 3 hidden, ${threes(2)}8 hidden, 6 hidden, 1 last`,
    `8 hidden, 3 hidden, ${threes(6)}2 hidden, 1 last`,
  ]);
});

test("text of resumed tokens that the client does not have comes with what follows", () => {
  const greedy: Asked = { sampling: { temperature: 0 }, maxTokens: 6, ignoreEos: true };
  const whole = deltasOf(greedy);
  const { tokens, textLength } = resumeOf(whole);
  const said = (deltas: readonly Delta[]) =>
    deltas.map((delta) => (delta.type === "text" ? delta.text : "")).join("");
  const later = deltasOf({ ...greedy, resume: { tokens: tokens.slice(0, 4), textLength: 1 } });
  const ended = deltasOf({ ...greedy, resume: { tokens, textLength: textLength - 1 } });
  expect([said(later), said(ended)]).toEqual([said(whole).slice(1), said(whole).slice(-1)]);
});

test("a prompt that is scored is not scored again", () => {
  const asked: Asked = { promptLogprobs: true, logprobs: 0, maxTokens: 3, sampling: { temperature: 0 } };
  const whole = deltasOf(asked);
  const rest = deltasOf({ ...asked, resume: resumeOf(whole.slice(0, 2)) });
  expect(rest).toEqual([{ type: "started", promptTokens: [14, 13, 2, 4] }, ...whole.slice(2)]);
});

test.each([
  ["tokens after the end", { tokens: [END, 1], textLength: 0 }, "the answer ends before token 2 of 2"],
  [
    "less text than was delivered",
    { tokens: [1], textLength: 2 },
    "the tokens make 1 characters, and 2 were delivered",
  ],
])("%s are refused", (_, resume, why) => {
  let thrown: unknown;
  try {
    deltasOf({ resume });
  } catch (error) {
    thrown = error;
  }
  expect(problemBody(thrown)).toEqual({
    kind: "invalid",
    message: `the answer cannot go on here: ${why}`,
    param: "resume",
    remedy: "send the request again; the machines may have different versions of the model",
  });
});

test("a resumed token that the model does not have is refused", () => {
  expect(() => deltasOf({ resume: { tokens: [99], textLength: 0 } })).toThrow(
    "resume: token 99 is not in the vocabulary of 32",
  );
});
