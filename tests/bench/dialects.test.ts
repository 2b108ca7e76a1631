import { expect, test } from "bun:test";
import { systemClock } from "#actors/runtime/clock";
import { abilitiesOf } from "#actors/supervisor/bench/abilities";
import type { Api } from "#actors/supervisor/bench/bench-config";
import { engine, engineWire } from "#actors/supervisor/bench/dialects/engine";
import { request } from "#actors/supervisor/bench/request";
import { httpWire } from "#actors/supervisor/bench/wire";
import type { Delta, Generation } from "#protocol/generation";
import { fakeApis } from "./fake-apis.ts";

const around = { clock: systemClock, signal: new AbortController().signal, timeoutMs: 10_000 };
const question = {
  model: "m",
  prompt: {
    type: "messages",
    messages: [
      { role: "system", content: "Be brief." },
      { role: "user", content: "Why is it so?" },
    ],
  },
  outputTokens: 4,
  temperature: 0,
  stream: true,
  exact: true,
  contextTokens: 8192,
} as const;

async function asked(api: Api, path: string, stream = true) {
  await using target = fakeApis();
  const wire = httpWire(target.origin + path, "k");
  const abilities = await abilitiesOf({ wire, ...around }, { model: "m", api });
  const { sample, text } = await request(
    { ...question, stream },
    { startMs: systemClock.nowMs(), scheduledMs: 0 },
    { wire, ...around, abilities },
  );
  const last = target.asked.at(-1);
  const tokens = sample.pieces.map(([, count]) => count);
  const { promptTokens, cachedTokens, outputTokens, finish, error, queueMs } = sample;
  return {
    lengthens: abilities.lengthens,
    body: last?.body,
    key: ["authorization", "x-api-key", "anthropic-version"].map((name) => last?.headers[name]),
    heard: { text, tokens, promptTokens, cachedTokens, outputTokens, finish, error, queueMs },
  };
}

const KEY = ["Bearer k", "k", "2023-06-01"];

test("OpenAI's responses are asked and heard as its documents show them", async () => {
  expect(await asked("responses", "/v1")).toEqual({
    lengthens: "no",
    key: KEY,
    body: {
      model: "m",
      input: question.prompt.messages,
      max_output_tokens: 4,
      temperature: 0,
      stream: true,
      store: false,
    },
    heard: {
      text: " word word word",
      tokens: [1, 1, 1, 1],
      promptTokens: 5,
      cachedTokens: 2,
      outputTokens: 4,
      finish: "max_output_tokens",
      error: undefined,
      queueMs: undefined,
    },
  });
});

test("Anthropic's messages have the system apart, and their prompt is the sum of three counts", async () => {
  expect(await asked("messages", "/v1")).toEqual({
    lengthens: "no",
    key: KEY,
    body: {
      model: "m",
      system: "Be brief.",
      messages: [{ role: "user", content: "Why is it so?" }],
      max_tokens: 4,
      temperature: 0,
      stream: true,
    },
    heard: {
      text: " word word word word",
      tokens: [1, 1, 1, 1],
      promptTokens: 4,
      cachedTokens: 3,
      outputTokens: 4,
      finish: "max_tokens",
      error: undefined,
      queueMs: undefined,
    },
  });
});

test("Ollama's lines are read, and its loading is a wait", async () => {
  expect(await asked("ollama", "")).toEqual({
    lengthens: "no",
    key: KEY,
    body: {
      model: "m",
      messages: question.prompt.messages,
      stream: true,
      options: { num_predict: 4, temperature: 0, num_ctx: 8192 },
    },
    heard: {
      text: " word word word word",
      tokens: [1, 1, 1, 1],
      promptTokens: 5,
      cachedTokens: 0,
      outputTokens: 4,
      finish: "length",
      error: undefined,
      queueMs: 5,
    },
  });
});

test("without streaming the counts are the same, in one piece", async () => {
  const heard = async (api: Api, path: string) => (await asked(api, path, false)).heard;
  const found = [await heard("responses", "/v1"), await heard("messages", "/v1"), await heard("ollama", "")];
  expect(
    found.map(({ tokens, promptTokens, outputTokens, error }) => [tokens, promptTokens, outputTokens, error]),
  ).toEqual([
    [[4], 5, 4, undefined],
    [[4], 4, 4, undefined],
    [[4], 5, 4, undefined],
  ]);
});

test("an API that is not there is said with where it should be", async () => {
  await using target = fakeApis();
  const wire = httpWire(target.origin, undefined);
  const words = (api: Api) =>
    abilitiesOf({ wire, ...around }, { model: "m", api }).then(
      () => "taken",
      ({ message, remedy }) => `${message} → ${remedy}`.replaceAll(target.origin, ""),
    );
  expect([await words("messages"), await words("chat")]).toEqual([
    "/messages refuses a first request: HTTP 404: no such path → most of these APIs live under /v1: add it to the URL",
    "/chat/completions refuses a first request: HTTP 404: no such path → most of these APIs live under /v1: add it to the URL",
  ]);
});

test("the engine is asked without HTTP: token ids in and out, the queue's wait and the scores of a prompt", async () => {
  const generations: Generation[] = [];
  async function* generate(generation: Generation): AsyncGenerator<Delta> {
    generations.push(generation);
    const { prompt, maxTokens = 0 } = generation;
    const ids = prompt.type === "tokens" ? prompt.tokens : Array.from({ length: 60 }, (_, i) => 100 + i);
    yield { type: "started", promptTokens: ids };
    for (let i = 0; i < maxTokens; i++) yield { type: "text", text: "x", tokens: [7] };
    const usage = { promptTokens: ids.length, cachedTokens: 0, completionTokens: maxTokens };
    yield { type: "finish", reason: "length", usage, timings: { queueMs: 3, prefillMs: 1, decodeMs: 1 } };
  }
  const wire = engineWire(generate, () => "id");
  const abilities = await abilitiesOf({ wire, ...around }, { model: "m", api: "engine" });
  const { sample, ids } = await request(
    { ...question, prompt: { type: "tokens", ids: [5, 6, 7] } },
    { startMs: systemClock.nowMs(), scheduledMs: 0 },
    { wire, ...around, abilities },
  );
  expect([abilities.dialect, abilities.lengthens, abilities.tokenIds, abilities.pool.length]).toEqual([
    engine,
    "ignore_eos",
    true,
    59,
  ]);
  expect([sample.promptTokens, sample.outputTokens, sample.pieces.length, sample.queueMs, ids]).toEqual([
    3,
    4,
    4,
    3,
    [7, 7, 7, 7],
  ]);
  expect(generations.at(-1)).toMatchObject({
    prompt: { type: "tokens", tokens: [5, 6, 7] },
    ignoreEos: true,
  });
});
