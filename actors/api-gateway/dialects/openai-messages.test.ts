import { expect, test } from "bun:test";
import { app } from "../serve.ts";
import { post } from "../test/ask.ts";
import { fakePorts } from "../test/fake-ports.ts";

/** The generations that a body becomes, as text or as an object. */
async function becomes(body: object | string) {
  const ports = fakePorts();
  await post(app(ports, { host: "127.0.0.1" }), "/v1/chat/completions", body);
  return ports.asked;
}

test("messages keep what templates know: roles, parts, calls, reasoning", async () => {
  const call = { id: "call_1", type: "function", function: { name: "look", arguments: '{"at": "sk' } };
  const [generation] = await becomes({
    model: "m",
    messages: [
      {
        role: "developer",
        content: [
          { type: "text", text: "Be" },
          { type: "text", text: "brief" },
        ],
      },
      { role: "assistant", content: null, reasoning_content: "hm", tool_calls: [call] },
      { role: "tool", tool_call_id: "call_1", content: "blue" },
    ],
    tools: [{ type: "function", name: "look", parameters: { type: "object" } }],
    chat_template_kwargs: { custom: null },
    reasoning_effort: "none",
  });
  expect(generation?.prompt).toEqual({
    type: "messages",
    messages: [
      { role: "system", content: "Be\nbrief" },
      {
        role: "assistant",
        content: "",
        reasoning: "hm",
        toolCalls: [{ id: "call_1", name: "look", arguments: '{"at": "sk' }],
      },
      { role: "tool", content: "blue", toolCallId: "call_1" },
    ],
    templateVariables: { enable_thinking: false, custom: null },
    tools: [{ type: "function", function: { name: "look", parameters: { type: "object" } } }],
  });
});

test("a body of the Responses API on the chat path is read as what it means", async () => {
  const asked = await becomes({
    model: "m",
    instructions: "Be brief",
    input: [
      { role: "user", content: [{ type: "input_text", text: "Look" }] },
      { type: "function_call", call_id: "c", name: "look", arguments: "{}" },
      { type: "function_call_output", call_id: "c", output: "blue" },
    ],
    max_output_tokens: 4,
  });
  expect(asked.map(({ prompt, maxTokens }) => [prompt, maxTokens])).toEqual([
    [
      {
        type: "messages",
        messages: [
          { role: "system", content: "Be brief" },
          { role: "user", content: "Look" },
          { role: "assistant", content: "", toolCalls: [{ id: "c", name: "look", arguments: "{}" }] },
          { role: "tool", content: "blue", toolCallId: "c" },
        ],
      },
      4,
    ],
  ]);
});

test("half a surrogate becomes the replacement character", async () => {
  const asked = await becomes(
    '{"model":"m","messages":[{"role":"user","content":"\\ud83d x \\ud83d\\ude00"}]}',
  );
  expect(asked[0]?.prompt).toEqual({
    type: "messages",
    messages: [{ role: "user", content: "\ufffd x 😀" }],
  });
});
