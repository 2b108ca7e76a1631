import { expect, test } from "bun:test";
import { app } from "../serve.ts";
import { lines, post, refusal, told } from "../test/ask.ts";
import { fakePorts } from "../test/fake-ports.ts";

const path = "/v1/completions";

function gateway(words?: readonly string[]) {
  const ports = fakePorts(words);
  return { ports, app: app(ports, { host: "127.0.0.1" }) };
}

test("prompts are texts, token ids or lists of either, and choices follow prompt by prompt", async () => {
  const prompts = async (prompt: unknown, n = 1) => {
    const { ports, app } = gateway();
    const response = await post(app, path, { model: "m", prompt, n });
    const { choices, usage } = await told(response);
    return [ports.asked.map((generation) => generation.prompt), choices.length, usage.prompt_tokens];
  };
  const text = (of: string) => ({ type: "text", text: of });
  expect([
    await prompts("a"),
    await prompts(["a", "b"], 2),
    await prompts([1, 2]),
    await prompts([[1], [2, 3]]),
  ]).toEqual([
    [[text("a")], 1, 3],
    [[text("a"), text("a"), text("b"), text("b")], 4, 6],
    [[{ type: "tokens", tokens: [1, 2] }], 1, 3],
    [
      [
        { type: "tokens", tokens: [1] },
        { type: "tokens", tokens: [2, 3] },
      ],
      2,
      6,
    ],
  ]);
});

test("a prompt can be scored without an answer", async () => {
  const { ports, app } = gateway();
  const response = await post(app, path, {
    model: "m",
    prompt: "Say it:",
    echo: true,
    logprobs: 1,
    max_tokens: 0,
  });
  const { choices } = await told(response);
  expect([ports.asked[0]?.maxTokens, ports.asked[0]?.promptLogprobs, choices]).toEqual([
    0,
    true,
    [
      {
        index: 0,
        text: "Say it:",
        logprobs: {
          tokens: ["Say", " it", ":"],
          token_logprobs: [null, -0.5, -0.5],
          top_logprobs: [null, { " it": -0.5 }, { ":": -0.5 }],
          text_offset: [0, 3, 6],
        },
        finish_reason: "length",
      },
    ],
  ]);
});

test("a stream with echo begins with the prompt and its offsets go on through the answer", async () => {
  const body = {
    model: "m",
    prompt: [7, 8, 9],
    echo: true,
    logprobs: 1,
    stream: true,
    return_token_ids: true,
  };
  expect(await lines(await post(gateway(["é", "!"]).app, path, body))).toMatchInlineSnapshot(`
    "index:0 text:"Say it:" logprobs:(tokens:(["Say" " it" ":"]) token_logprobs:([null -0.5 -0.5]) top_logprobs:([null  it:-0.5 ::-0.5]) text_offset:([0 3 6])) prompt_token_ids:([7 8 9]) token_ids:([])
    index:0 text:"é" logprobs:(tokens:(["é"]) token_logprobs:([-0.5]) top_logprobs:([é:-0.5]) text_offset:([7])) token_ids:([1])
    index:0 text:"!" logprobs:(tokens:(["!"]) token_logprobs:([-0.5]) top_logprobs:([!:-0.5]) text_offset:([8])) token_ids:([1])
    index:0 text:"" finish_reason:"stop" timings:(queue_ms:1 prefill_ms:2 decode_ms:3 prompt_tokens:3 completion_tokens:2 cached_tokens:1)
    [DONE]"
  `);
});

test("whole and streamed answers say the same", async () => {
  const body = { model: "m", prompt: ["a", "b"], n: 2, echo: true, max_tokens: 2 };
  const { choices } = await told(await post(gateway().app, path, body));
  const texts = ["", "", "", ""];
  for (const line of (await lines(await post(gateway().app, path, { ...body, stream: true }))).split("\n")) {
    const [, index, text] = line.match(/^index:(\d) text:("[^"]*")/) ?? [];
    if (index !== undefined && text !== undefined) texts[Number(index)] += JSON.parse(text);
  }
  expect(texts).toEqual(choices.map(({ text }) => text ?? ""));
});

test("what cannot be served is refused with the field's name", async () => {
  const refusals: readonly object[] = [
    { prompt: undefined },
    { prompt: [] },
    { prompt: [1, "a"] },
    { prompt: [-1] },
    { prompt: [[]] },
    { max_tokens: 0 },
    { logprobs: 21 },
    { suffix: "end" },
    { best_of: 2 },
    { prompt: Array(100).fill("x"), n: 128 },
  ];
  const refused = await Promise.all(
    refusals.map(async (changes) =>
      refusal(await post(gateway().app, path, { model: "m", prompt: "a", ...changes })),
    ),
  );
  expect(refused.join("\n")).toMatchInlineSnapshot(`
    "400 invalid_request_error missing_required_parameter prompt: \`prompt\` is missing; it is a text, a list of token ids, or a list of several of either, none empty
    400 invalid_request_error invalid_value prompt: \`prompt\` must be a text, a list of token ids, or a list of several of either, none empty, not []
    400 invalid_request_error invalid_value prompt: \`prompt\` must be a text, a list of token ids, or a list of several of either, none empty, not a list
    400 invalid_request_error invalid_value prompt: \`prompt\` must be a text, a list of token ids, or a list of several of either, none empty, not a list
    400 invalid_request_error invalid_value prompt: \`prompt\` must be a text, a list of token ids, or a list of several of either, none empty, not a list
    400 invalid_request_error invalid_value max_tokens: \`max_tokens\` 0 needs \`echo\`, or there is nothing to answer
    400 invalid_request_error invalid_value logprobs: \`logprobs\` must be a whole number from 0 to 20, not 21
    400 invalid_request_error unsupported_value suffix: filling in before a suffix is not supported yet; leave it out
    400 invalid_request_error unsupported_value best_of: \`best_of\` other than \`n\` is not supported yet; leave it out
    400 invalid_request_error invalid_value prompt: 100 prompts with \`n\` 128 are 12800 choices; the limit is 2048; send them in several requests"
  `);
});
