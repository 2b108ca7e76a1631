import { expect, test } from "bun:test";
import type { Generation } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";
import { app } from "../serve.ts";
import { lines, post, records, refusal } from "../test/ask.ts";
import { fakePorts } from "../test/fake-ports.ts";

const path = "/v1/chat/completions";
const hello = { model: "smollm2", messages: [{ role: "user", content: "Hi" }] };

function gateway(words?: readonly string[]) {
  const ports = fakePorts(words);
  return { ports, app: app(ports, { host: "127.0.0.1" }) };
}

/** The generations that a body becomes. */
async function becomes(body: object): Promise<readonly Generation[]> {
  const { ports, app } = gateway();
  await post(app, path, { ...hello, ...body });
  return ports.asked;
}

test("a whole answer has every key that clients read", async () => {
  const response = await post(gateway().app, path, hello);
  expect(await response.json()).toEqual({
    id: "chatcmpl-id0",
    object: "chat.completion",
    created: 1_700_000_000,
    model: "smollm2",
    system_fingerprint: null,
    service_tier: "default",
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: "Hello!", refusal: null },
        logprobs: null,
        finish_reason: "stop",
      },
    ],
    usage: {
      prompt_tokens: 3,
      completion_tokens: 3,
      total_tokens: 6,
      prompt_tokens_details: { cached_tokens: 1 },
      completion_tokens_details: {
        reasoning_tokens: 0,
        accepted_prediction_tokens: 0,
        rejected_prediction_tokens: 0,
      },
    },
    timings: {
      queue_ms: 1,
      prefill_ms: 2,
      decode_ms: 3,
      prompt_tokens: 3,
      completion_tokens: 3,
      cached_tokens: 1,
    },
  });
});

test("a stream opens with the role, ends with the reason, and tells usage only when asked", async () => {
  const plain = await post(gateway().app, path, { ...hello, stream: true });
  expect(await lines(plain)).toMatchInlineSnapshot(`
    "index:0 delta:(role:"assistant" content:"")
    index:0 delta:(content:"Hel")
    index:0 delta:(content:"lo")
    index:0 delta:(content:"!")
    index:0 delta:() finish_reason:"stop" timings:(queue_ms:1 prefill_ms:2 decode_ms:3 prompt_tokens:3 completion_tokens:3 cached_tokens:1)
    [DONE]"
  `);
  const withUsage = { ...hello, stream: true, stream_options: { include_usage: true } };
  expect(await lines(await post(gateway(["Hi"]).app, path, withUsage))).toMatchInlineSnapshot(`
    "index:0 delta:(role:"assistant" content:"")
    index:0 delta:(content:"Hi")
    index:0 delta:() finish_reason:"stop"
    usage:(prompt_tokens:3 completion_tokens:1 total_tokens:4 prompt_tokens_details:(cached_tokens:1) completion_tokens_details:(reasoning_tokens:0 accepted_prediction_tokens:0 rejected_prediction_tokens:0)) timings:(queue_ms:1 prefill_ms:2 decode_ms:3 prompt_tokens:3 completion_tokens:1 cached_tokens:1)
    [DONE]"
  `);
});

test("in a stream with usage every record before the last says usage is null, without it none has the key", async () => {
  const usages = async (include_usage: boolean) => {
    const response = await post(gateway(["Hi"]).app, path, {
      ...hello,
      stream: true,
      stream_options: { include_usage },
    });
    return (await records(response)).map((record) =>
      typeof record === "string" ? record : typeof record.usage,
    );
  };
  expect([
    (await records(await post(gateway(["Hi"]).app, path, { ...hello, stream: true }))).length,
    await usages(true),
    await usages(false),
  ]).toEqual([
    4,
    ["object", "object", "object", "object", "[DONE]"],
    ["undefined", "undefined", "undefined", "[DONE]"],
  ]);
});

test("an empty answer still streams a role and a finish", async () => {
  expect(await lines(await post(gateway([]).app, path, { ...hello, stream: true }))).toMatchInlineSnapshot(`
    "index:0 delta:(role:"assistant" content:"")
    index:0 delta:() finish_reason:"stop" timings:(queue_ms:1 prefill_ms:2 decode_ms:3 prompt_tokens:3 completion_tokens:0 cached_tokens:1)
    [DONE]"
  `);
});

test("log-probabilities and token ids go with exactly the tokens of their record", async () => {
  const body = { ...hello, stream: true, logprobs: true, top_logprobs: 2, return_token_ids: true };
  expect(await lines(await post(gateway(["Hi", ""]).app, path, body))).toMatchInlineSnapshot(`
    "index:0 delta:(role:"assistant" content:"") prompt_token_ids:([7 8 9]) prompt_token_ids:([7 8 9])
    index:0 delta:(content:"Hi") logprobs:(content:([token:"Hi" logprob:-0.5 bytes:([72 105]) top_logprobs:([token:"Hi" logprob:-0.5 bytes:([72 105]) token:"other" logprob:-2 bytes:([111 116 104 101 114])])])) token_ids:([2])
    index:0 delta:(content:"") logprobs:(content:([token:"" logprob:-0.5 bytes:([]) top_logprobs:([token:"" logprob:-0.5 bytes:([]) token:"other" logprob:-2 bytes:([111 116 104 101 114])])])) token_ids:([0])
    index:0 delta:() finish_reason:"stop" timings:(queue_ms:1 prefill_ms:2 decode_ms:3 prompt_tokens:3 completion_tokens:2 cached_tokens:1)
    [DONE]"
  `);
});

test("choices get seeds of their own and the first keeps the seed given", async () => {
  const asked = await becomes({ n: 3, seed: 5 });
  expect(asked.map(({ id, sampling }) => [id as string, sampling])).toEqual([
    ["chatcmpl-id0-0", { seed: 5 }],
    ["chatcmpl-id0-1", { seed: 2654435766 }],
    ["chatcmpl-id0-2", { seed: 5308871527 }],
  ]);
});

test("every sampling field reaches the generation", async () => {
  const [generation] = await becomes({
    temperature: 0.5,
    top_p: 0.9,
    top_k: -1,
    min_p: 0.1,
    seed: 7,
    repetition_penalty: 1.1,
    presence_penalty: 0.2,
    frequency_penalty: -0.2,
    logit_bias: { "42": -100 },
    stop: ["a", ""],
    stop_token_ids: [2],
    ignore_eos: true,
    min_tokens: 1,
    max_tokens: 9,
    max_completion_tokens: 5,
    logprobs: true,
    top_logprobs: 3,
  });
  expect(generation).toEqual({
    id: "chatcmpl-id0-0" as RequestId,
    model: "smollm2",
    prompt: { type: "messages", messages: [{ role: "user", content: "Hi" }] },
    sampling: {
      temperature: 0.5,
      topP: 0.9,
      topK: 0,
      minP: 0.1,
      seed: 7,
      repetitionPenalty: 1.1,
      presencePenalty: 0.2,
      frequencyPenalty: -0.2,
      logitBias: { "42": -100 },
    },
    maxTokens: 5,
    minTokens: 1,
    stop: ["a"],
    stopTokens: [2],
    ignoreEos: true,
    logprobs: 3,
  });
});

test("null means absent and unknown fields are ignored", async () => {
  const nulls = {
    temperature: null,
    stop: null,
    n: null,
    tools: null,
    stream_options: null,
    unheard_of: { a: 1 },
  };
  const messages = [{ role: "user", content: "Hi", name: null }];
  expect(await becomes({ ...nulls, messages })).toEqual([
    {
      id: "chatcmpl-id0-0" as RequestId,
      model: "smollm2",
      prompt: { type: "messages", messages: [{ role: "user", content: "Hi" }] },
      sampling: {},
      stop: [],
    },
  ]);
});

test("what cannot be served is refused with the field's name", async () => {
  const refusals: readonly object[] = [
    { temperature: "hot" },
    { temperature: 2.5 },
    { messages: [] },
    { messages: [{ role: "wizard", content: "x" }] },
    { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:" } }] }] },
    { messages: [{ role: "user", content: [{ type: "smell" }] }] },
    { messages: [{ content: "x" }] },
    { model: undefined },
    { n: 0 },
    { stop: [1] },
    { top_logprobs: 3 },
    { logit_bias: { x: 1 } },
    { logit_bias: { "1": 101 } },
    { min_tokens: 5, max_tokens: 4 },
    { response_format: { type: "json_object" } },
    { tool_choice: "required" },
    { tools: [{ type: "function", function: { name: "f" } }], tool_choice: "required" },
    { tools: [{ type: "custom", custom: { name: "f" } }] },
    { modalities: ["text", "audio"] },
  ];
  const refused = await Promise.all(
    refusals.map(async (body) => refusal(await post(gateway().app, path, { ...hello, ...body }))),
  );
  expect(refused.join("\n")).toMatchInlineSnapshot(`
    "400 invalid_request_error invalid_value temperature: \`temperature\` must be a number from 0 to 2, not "hot"
    400 invalid_request_error invalid_value temperature: \`temperature\` must be a number from 0 to 2, not 2.5
    400 invalid_request_error invalid_value messages: \`messages\` must be a list that is not empty, not []
    400 invalid_request_error invalid_value messages[0].role: \`messages[0].role\` must be one of system, developer, user, assistant, tool, function, not "wizard"
    400 invalid_request_error unsupported_content messages[0].content[0]: this model reads text only, not parts of type image_url
    400 invalid_request_error invalid_value messages[0].content[0].type: \`messages[0].content[0].type\` "smell" is unknown; use text
    400 invalid_request_error missing_required_parameter messages[0].role: \`messages[0].role\` is missing; it is a text
    400 invalid_request_error missing_required_parameter model: \`model\` is missing; it is a text that is not empty
    400 invalid_request_error invalid_value n: \`n\` must be a whole number from 1 to 128, not 0
    400 invalid_request_error invalid_value stop: \`stop\` must be a text or a list of up to 128 texts, not a list
    400 invalid_request_error invalid_value top_logprobs: \`top_logprobs\` needs \`logprobs\` to be true
    400 invalid_request_error invalid_value logit_bias: \`logit_bias\` is keyed by token ids, not "x"
    400 invalid_request_error invalid_value logit_bias[1]: \`logit_bias[1]\` must be a number from -100 to 100, not 101
    400 invalid_request_error invalid_value min_tokens: \`min_tokens\` 5 is above the limit of 4 tokens
    400 invalid_request_error unsupported_value response_format: response_format of type "json_object" is not supported yet; use type text
    400 invalid_request_error invalid_value tool_choice: a tool is asked for, but \`tools\` is empty
    400 invalid_request_error unsupported_value tool_choice: forcing a tool call is not supported yet; use auto or none
    400 invalid_request_error unsupported_value tools[0]: a custom tool is not supported yet; use one of type function
    400 invalid_request_error unsupported_value modalities: an answer other than text is not supported yet; use ["text"]"
  `);
});
