import { afterAll, beforeAll, expect, test } from "bun:test";
import OpenAI, {
  APIError,
  AuthenticationError,
  BadRequestError,
  NotFoundError,
  RateLimitError,
} from "openai";
import { createGateway, type Gateway } from "#actors/api-gateway/serve";
import { fakePorts } from "#actors/api-gateway/test/fake-ports";
import type { Generation } from "#protocol/generation";
import { Problem } from "#protocol/problem";

let gateway: Gateway;
let client: OpenAI;
const asked: Generation[] = [];

beforeAll(() => {
  const ports = fakePorts(["Hel", "lo", "!"]);
  const { generate } = ports;
  gateway = createGateway(
    {
      ...ports,
      async *generate(generation, signal) {
        asked.push(generation);
        if (generation.model === "missing")
          throw new Problem("notFound", "model 'missing' not found", { param: "model" });
        if (generation.model === "busy") throw new Problem("overloaded", "8 requests wait already");
        if (generation.model === "small") {
          throw new Problem(
            "contextLength",
            "this model's maximum context length is 8 tokens, but the prompt has 9",
          );
        }
        if (generation.model === "breaking") {
          yield { type: "started", promptTokens: [1] };
          yield { type: "text", text: "Hel", tokens: [3] };
          throw new Problem("unavailable", "the worker was lost");
        }
        yield* generate(generation, signal);
      },
    },
    { host: "127.0.0.1", port: 0, apiKey: "secret" },
  );
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: "secret", maxRetries: 0 });
});
afterAll(() => gateway.stop());

const hello = { model: "smollm2", messages: [{ role: "user" as const, content: "Hi" }] };

test("the official client reads a whole chat answer", async () => {
  const answer = await client.chat.completions.create(hello);
  expect({
    id: answer.id.startsWith("chatcmpl-"),
    request: typeof answer._request_id,
    message: answer.choices[0]?.message,
    finish: answer.choices[0]?.finish_reason,
    usage: answer.usage?.total_tokens,
  }).toEqual({
    id: true,
    request: "string",
    message: { role: "assistant", content: "Hello!", refusal: null },
    finish: "stop",
    usage: 6,
  });
});

test("the official client's stream helper puts a chat answer together with its usage", async () => {
  const stream = client.chat.completions.stream({ ...hello, stream_options: { include_usage: true } });
  const pieces: string[] = [];
  stream.on("content", (piece) => pieces.push(piece));
  const final = await stream.finalChatCompletion();
  expect({
    pieces,
    content: final.choices[0]?.message.content,
    usage: (await stream.totalUsage()).total_tokens,
  }).toEqual({
    pieces: ["Hel", "lo", "!"],
    content: "Hello!",
    usage: 6,
  });
});

test("the official client reads two choices with their log-probabilities", async () => {
  const { choices, usage } = await client.chat.completions.create({
    ...hello,
    n: 2,
    seed: 1,
    logprobs: true,
    top_logprobs: 2,
  });
  const seeds = asked.slice(-2).map(({ sampling }) => sampling.seed);
  expect({
    contents: choices.map(({ message }) => message.content),
    first: choices[0]?.logprobs?.content?.[0]?.top_logprobs.map(({ token, logprob }) => [token, logprob]),
    counts: [usage?.prompt_tokens, usage?.completion_tokens],
    seedsDiffer: seeds[0] === 1 && seeds[1] !== 1,
  }).toEqual({
    contents: ["Hello!", "Hello!"],
    first: [
      ["Hel", -0.5],
      ["other", -2],
    ],
    counts: [3, 6],
    seedsDiffer: true,
  });
});

test("the official client streams two choices", async () => {
  const texts = ["", ""];
  const finishes: (string | null)[] = [];
  for await (const { choices } of await client.chat.completions.create({ ...hello, n: 2, stream: true })) {
    for (const { index, delta, finish_reason } of choices) {
      texts[index] += delta.content ?? "";
      if (finish_reason) finishes.push(finish_reason);
    }
  }
  expect({ texts, finishes }).toEqual({ texts: ["Hello!", "Hello!"], finishes: ["stop", "stop"] });
});

test("the official client reads completions, whole and as a stream", async () => {
  const prompt = { model: "smollm2", prompt: "Say it:", max_tokens: 2 };
  const whole = await client.completions.create({ ...prompt, logprobs: 1 });
  let streamed = "";
  for await (const { choices } of await client.completions.create({ ...prompt, stream: true }))
    streamed += choices[0]?.text;
  expect({ whole: whole.choices[0], streamed }).toEqual({
    whole: {
      index: 0,
      text: "Hello",
      finish_reason: "length",
      logprobs: {
        tokens: ["Hel", "lo"],
        token_logprobs: [-0.5, -0.5],
        top_logprobs: [{ Hel: -0.5 }, { lo: -0.5 }],
        text_offset: [0, 3],
      },
    },
    streamed: "Hello",
  });
});

test("the official client lists and retrieves models whose names have a slash", async () => {
  const ids: string[] = [];
  for await (const { id } of client.models.list()) ids.push(id);
  expect({ ids, one: (await client.models.retrieve("org/name")).id }).toEqual({
    ids: ["smollm2", "org/name"],
    one: "org/name",
  });
});

test("each failure reaches the official client as the class it expects", async () => {
  const failing = async (act: () => PromiseLike<unknown>) => {
    try {
      await act();
    } catch (error) {
      if (error instanceof APIError) return [error.constructor, error.status, error.code, error.param];
    }
    return [];
  };
  const chat = (changes: object) => () => client.chat.completions.create({ ...hello, ...changes });
  expect([
    await failing(chat({ temperature: 3 })),
    await failing(chat({ model: "missing" })),
    await failing(chat({ model: "busy", stream: true })),
    await failing(chat({ model: "small", stream: true })),
    await failing(() => client.withOptions({ apiKey: "wrong" }).models.list()),
    await failing(() => client.models.retrieve("nope")),
  ]).toEqual([
    [BadRequestError, 400, "invalid_value", "temperature"],
    [NotFoundError, 404, "model_not_found", "model"],
    [RateLimitError, 429, "rate_limit_exceeded", null],
    [BadRequestError, 400, "context_length_exceeded", null],
    [AuthenticationError, 401, "invalid_api_key", null],
    [NotFoundError, 404, "model_not_found", "model"],
  ]);
});

test("a failure in the middle of a stream is thrown by the official client", async () => {
  let text = "";
  const read = async () => {
    for await (const { choices } of await client.chat.completions.create({
      ...hello,
      model: "breaking",
      stream: true,
    })) {
      text += choices[0]?.delta.content ?? "";
    }
  };
  await expect(read()).rejects.toThrow("the worker was lost");
  expect(text).toBe("Hel");
});
