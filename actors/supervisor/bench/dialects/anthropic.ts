/** Anthropic's messages: https://docs.anthropic.com/en/docs/build-with-claude/streaming. */
import { type PromptText, textOf } from "../question.ts";
import { type Dialect, type Heard, listIn, numberIn, objectIn, reasonOf, said, textIn } from "./dialect.ts";

export const anthropic: Dialect = {
  api: "messages",
  path: "/messages",
  framing: "events",
  lengthens: ["ignore_eos"],
  leastTokens: 1,
  body: ({ model, prompt, outputTokens, temperature, stream, exact }, { lengthens }) => ({
    model,
    ...conversationOf(prompt),
    max_tokens: outputTokens,
    temperature,
    stream,
    ...(exact && lengthens === "ignore_eos" && { ignore_eos: true }),
  }),
  heard(event) {
    const fields = objectIn(event);
    const delta = objectIn(fields.delta);
    switch (fields.type) {
      case "message_start":
        return countsOf(objectIn(fields.message).usage);
      case "content_block_delta":
        return said({
          answer: textIn(delta.text) ?? textIn(delta.partial_json),
          reasoning: textIn(delta.thinking),
        });
      case "message_delta":
        return { ...countsOf(fields.usage), ...said({ finish: textIn(delta.stop_reason) }) };
      case "message_stop":
        return { ended: true };
      case "message":
        return {
          ...countsOf(fields.usage),
          ...said({ answer: textIn(blocksText(fields.content)), finish: textIn(fields.stop_reason) }),
        };
      case "error":
        return { error: reasonOf(JSON.stringify(fields)) };
      default:
        return {};
    }
  },
};

/** What the system says stands beside the messages, not among them. */
function conversationOf(prompt: PromptText): object {
  if (prompt.type !== "messages") return { messages: [{ role: "user", content: textOf(prompt) }] };
  const system = prompt.messages.filter(({ role }) => role === "system").map(({ content }) => content);
  return {
    ...(system.length > 0 && { system: system.join("\n\n") }),
    messages: prompt.messages.filter(({ role }) => role !== "system"),
  };
}

/** Of a whole answer. */
const blocksText = (content: unknown): string =>
  listIn(content)
    .map((block) => textIn(objectIn(block).text) ?? "")
    .join("");

/** `input_tokens` are only those after the last point of the cache; the whole prompt is the sum of three counts. */
function countsOf(usage: unknown): Heard {
  const counts = objectIn(usage);
  const [input, read, written] = [
    counts.input_tokens,
    counts.cache_read_input_tokens,
    counts.cache_creation_input_tokens,
  ].map(numberIn);
  return said({
    promptTokens: input === undefined ? undefined : input + (read ?? 0) + (written ?? 0),
    cachedTokens: read,
    outputTokens: numberIn(counts.output_tokens),
  });
}
