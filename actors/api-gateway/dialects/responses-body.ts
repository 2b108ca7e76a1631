/** Some agents post a body of the Responses API to the chat path; it is read as what they meant. */
import { isRecord } from "./body.ts";

type Json = Readonly<Record<string, unknown>>;

/** The body itself when it has messages; else its `input` and `instructions` as messages. */
export function chatShaped(body: Json): Json {
  const { input, instructions, max_output_tokens, ...rest } = body;
  if (rest.messages !== undefined || input === undefined || input === null) return body;
  const system = typeof instructions === "string" ? [{ role: "system", content: instructions }] : [];
  const items = Array.isArray(input) ? input.map(toMessage) : [{ role: "user", content: input }];
  return {
    ...rest,
    ...(max_output_tokens !== undefined && { max_completion_tokens: max_output_tokens }),
    messages: [...system, ...items],
  };
}

function toMessage(item: unknown): unknown {
  if (!isRecord(item)) return item;
  const { type, call_id: id, name, arguments: given, output } = item;
  if (type === "function_call") {
    return {
      role: "assistant",
      tool_calls: [{ id, type: "function", function: { name, arguments: given } }],
    };
  }
  if (type === "function_call_output") return { role: "tool", tool_call_id: id, content: output };
  return item;
}
