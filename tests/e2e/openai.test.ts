import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import OpenAI, { BadRequestError, NotFoundError } from "openai";
import { freshFolder } from "../cli/exo.ts";
import { type Server, serving, TEST_MS_MAX } from "./product.ts";

setDefaultTimeout(TEST_MS_MAX);

const stack = new AsyncDisposableStack();
let server: Server;
let client: OpenAI;

beforeAll(async () => {
  const home = stack.use(freshFolder());
  server = stack.use(await serving(home.path, ["--model", "smollm2"]));
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0, timeout: 60_000 });
});
afterAll(() => stack.disposeAsync());

const model = "smollm2";
const france = {
  model,
  messages: [{ role: "user" as const, content: "What is the capital of France?" }],
  temperature: 0,
};
/** "The capital of France is", which goes on with " Paris." */
const FRANCE_IDS = [504, 3575, 282, 4649, 314];
const SUM_IDS = [34, 1232, 216, 34, 446];
const continued = { model, prompt: FRANCE_IDS, temperature: 0 };

/** Fields of vLLM that the official package sends on though its types do not know them. */
const extended = async (fields: object): Promise<Extended> =>
  (await client.completions.create({ ...continued, ...fields } as never)) as unknown as Extended;

interface Extended {
  readonly choices: readonly {
    readonly text: string;
    readonly finish_reason: string;
    readonly token_ids: readonly number[];
    readonly prompt_token_ids: readonly number[];
  }[];
  readonly usage: { readonly completion_tokens: number };
}

test("the model is ready before serve says that it is", async () => {
  expect([server.ready, (await server.held()).map((held) => [held.model, held.state])]).toEqual([
    { schema: "exo.serve/1", url: server.url, pid: server.pid, version: "0.1.0", models: [model] },
    [[model, "ready"]],
  ]);
});

test("a chat is answered whole, with its usage", async () => {
  const { choices, usage, ...head } = await client.chat.completions.create(france);
  expect({ choices, head: [head.object, head.model], usage }).toMatchObject({
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: "The capital of France is Paris.", refusal: null },
        finish_reason: "stop",
        logprobs: null,
      },
    ],
    head: ["chat.completion", model],
    usage: { prompt_tokens: 37, completion_tokens: 8, total_tokens: 45 },
  });
});

test("a streamed chat says the same in pieces, and its usage last", async () => {
  const stream = client.chat.completions.stream({ ...france, stream_options: { include_usage: true } });
  const pieces: string[] = [];
  stream.on("content", (piece) => pieces.push(piece));
  const final = await stream.finalChatCompletion();
  expect({
    content: final.choices[0]?.message.content,
    joined: pieces.join(""),
    several: pieces.length > 3,
    finish: final.choices[0]?.finish_reason,
    usage: await stream.totalUsage(),
  }).toMatchObject({
    content: "The capital of France is Paris.",
    joined: "The capital of France is Paris.",
    several: true,
    finish: "stop",
    usage: { prompt_tokens: 37, completion_tokens: 8 },
  });
});

test("two choices differ, the same seed gives the same text again, and another seed another", async () => {
  const ask = async (seed: number) => {
    const asked = { ...france, temperature: 1, n: 2, seed, max_tokens: 12, messages: poem };
    const { choices, usage } = await client.chat.completions.create(asked);
    return { texts: choices.map(({ message }) => message.content), tokens: usage?.completion_tokens };
  };
  const [first, again, other] = [await ask(7), await ask(7), await ask(8)];
  expect([first.texts.length, first.texts[0] !== first.texts[1], first.tokens]).toEqual([2, true, 24]);
  expect([again.texts, other.texts[0] !== first.texts[0]]).toEqual([first.texts, true]);
});

const poem = [{ role: "user" as const, content: "Tell me something surprising." }];

test("an answer ends before a stop string, which may span tokens", async () => {
  const ask = async (stop: string | string[]) => {
    const { choices } = await client.chat.completions.create({ ...france, stop });
    return [choices[0]?.message.content, choices[0]?.finish_reason];
  };
  expect([await ask("France"), await ask(["tal of Fr", "nothing"]), await ask("of Italy")]).toEqual([
    ["The capital of ", "stop"],
    ["The capi", "stop"],
    ["The capital of France is Paris.", "stop"],
  ]);
});

test("log-probabilities: the greedy token leads its rivals, whose scores fall", async () => {
  const { choices } = await client.chat.completions.create({ ...france, logprobs: true, top_logprobs: 3 });
  const content = choices[0]?.logprobs?.content ?? [];
  expect({
    text: content.map(({ token }) => token).join(""),
    bytes: Buffer.from(content.flatMap(({ bytes }) => bytes ?? [])).toString(),
    leads: content.every(({ token, logprob, top_logprobs: [best] }) => best?.token === token && logprob <= 0),
    falls: content.every(({ top_logprobs: [a, b, c] }) =>
      a && b && c ? a.logprob >= b.logprob && b.logprob >= c.logprob : false,
    ),
    finite: content.every(({ logprob }) => Number.isFinite(logprob)),
  }).toEqual({
    text: "The capital of France is Paris.",
    bytes: "The capital of France is Paris.",
    leads: true,
    falls: true,
    finite: true,
  });
});

test("logit_bias forces a token and bans one", async () => {
  const ask = async (logit_bias: Record<string, number>) =>
    (await client.completions.create({ ...continued, max_tokens: 1, logit_bias })).choices[0]?.text;
  expect([await ask({}), await ask({ 30: 100 }), (await ask({ 7042: -100 })) === " Paris"]).toEqual([
    " Paris",
    ".",
    false,
  ]);
});

test("a completion goes on from text, from token ids, and from lists of both kinds, in order", async () => {
  const ask = async (prompt: OpenAI.CompletionCreateParams["prompt"], n = 1) => {
    const asked = { ...continued, prompt, n, max_tokens: 2 };
    return (await client.completions.create(asked)).choices.map(({ index, text }) => [index, text]);
  };
  const text = "The capital of France is";
  const sum = (await ask("2 + 2 ="))[0]?.[1] ?? "nothing";
  expect([
    await ask(text),
    await ask(FRANCE_IDS),
    await ask([text, "2 + 2 ="], 2),
    await ask([FRANCE_IDS, SUM_IDS]),
  ]).toEqual([
    [[0, " Paris."]],
    [[0, " Paris."]],
    [
      [0, " Paris."],
      [1, " Paris."],
      [2, sum],
      [3, sum],
    ],
    [
      [0, " Paris."],
      [1, sum],
    ],
  ]);
});

test("return_token_ids tells the ids of prompt and answer, whole and streamed", async () => {
  const asked = { prompt: "The capital of France is", max_tokens: 3, return_token_ids: true };
  const whole = (await extended(asked)).choices[0];
  const stream = await client.completions.create({ ...continued, ...asked, stream: true } as never);
  const streamed: number[] = [];
  let prompt: readonly number[] = [];
  for await (const { choices } of stream as unknown as AsyncIterable<Extended>) {
    streamed.push(...(choices[0]?.token_ids ?? []));
    prompt = choices[0]?.prompt_token_ids ?? prompt;
  }
  expect([whole?.prompt_token_ids, whole?.token_ids, prompt, streamed]).toEqual([
    FRANCE_IDS,
    [7042, 30, 198],
    FRANCE_IDS,
    [7042, 30, 198],
  ]);
});

/** From the recorded answers: this prompt is answered in eight tokens, the last of which is the end token 2. */
const QUESTION_IDS = [1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47, 2, 198, 1, 520, 9531, 198];

test("ignore_eos and min_tokens go on past the end token, max_tokens ends", async () => {
  const ask = async (fields: object) => {
    const { choices, usage } = await extended({ prompt: QUESTION_IDS, return_token_ids: true, ...fields });
    const ids = choices[0]?.token_ids ?? [];
    return { ids: [...ids], finish: choices[0]?.finish_reason, tokens: usage.completion_tokens };
  };
  const plain = await ask({ max_tokens: 40 });
  const cut = await ask({ max_tokens: 3 });
  const past = await ask({ max_tokens: 40, ignore_eos: true });
  const least = await ask({ max_tokens: 40, min_tokens: plain.tokens + 4 });
  expect({
    plain: [plain.finish, plain.ids.at(-1)],
    cut: [cut.finish, cut.tokens, cut.ids],
    past: [past.finish, past.tokens, past.ids.slice(0, plain.tokens)],
    least: [least.tokens >= plain.tokens + 4, least.ids.slice(0, plain.tokens + 3).includes(2)],
  }).toEqual({
    plain: ["stop", 2],
    cut: ["length", 3, plain.ids.slice(0, 3)],
    past: ["length", 40, plain.ids],
    least: [true, false],
  });
});

test("top_k 1 and min_p 1 are greedy at any temperature; repetition_penalty changes what repeats", async () => {
  const hot = { temperature: 2, seed: 3, max_tokens: 6, return_token_ids: true };
  const ids = async (fields: object) => [
    ...((await extended({ ...hot, ...fields })).choices[0]?.token_ids ?? []),
  ];
  const greedy = await ids({ temperature: 0 });
  const loop = { prompt: "one one one one one one one one", temperature: 0, max_tokens: 8 };
  const [repeats, penalised] = [await ids(loop), await ids({ ...loop, repetition_penalty: 1.8 })];
  expect([await ids({ top_k: 1 }), await ids({ min_p: 1 })]).toEqual([greedy, greedy]);
  expect([new Set(repeats).size < 8, new Set(penalised).size > new Set(repeats).size]).toEqual([true, true]);
});

test("echo with logprobs scores the prompt, and every list is one as long", async () => {
  const asked = { ...continued, prompt: "The capital of France is", echo: true, logprobs: 1, max_tokens: 0 };
  const { choices } = await client.completions.create(asked);
  const lists = choices[0]?.logprobs;
  const scores = lists?.token_logprobs ?? [];
  expect({
    text: choices[0]?.text,
    tokens: lists?.tokens,
    offsets: lists?.text_offset,
    first: [scores[0], lists?.top_logprobs?.[0]],
    scored: scores.slice(1).every((score) => Number.isFinite(score) && score <= 0),
    lengths: [scores.length, lists?.top_logprobs?.length],
  }).toEqual({
    text: "The capital of France is",
    tokens: ["The", " capital", " of", " France", " is"],
    offsets: [0, 3, 11, 14, 21],
    first: [null as unknown as number, null as unknown as Record<string, number>],
    scored: true,
    lengths: [5, 5],
  });
});

test("what a client asks wrongly is its own error class, with the field", async () => {
  const failure = (asking: Promise<unknown>) =>
    asking.then(
      () => undefined,
      (error: unknown) => error,
    );
  const [unknown, hot, long] = await Promise.all([
    failure(client.chat.completions.create({ ...france, model: "smolm2" })),
    failure(client.chat.completions.create({ ...france, temperature: 3 })),
    failure(client.completions.create({ ...continued, prompt: Array(9000).fill(504) })),
  ]);
  expect([
    [unknown instanceof NotFoundError, (unknown as NotFoundError).code, String(unknown).includes("smollm2")],
    [hot instanceof BadRequestError, (hot as BadRequestError).param],
    [long instanceof BadRequestError, (long as BadRequestError).code, String(long)],
  ]).toEqual([
    [true, "model_not_found", true],
    [true, "temperature"],
    [true, "context_length_exceeded", expect.stringMatching(/maximum context length is 8192 tokens.*9000/)],
  ]);
});
