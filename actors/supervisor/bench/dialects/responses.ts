/** OpenAI's responses: https://platform.openai.com/docs/api-reference/responses-streaming. */
import { textOf } from "../question.ts";
import {
  type Dialect,
  type Heard,
  type Json,
  listIn,
  numberIn,
  objectIn,
  reasonOf,
  said,
  textIn,
} from "./dialect.ts";

export const responses: Dialect = {
  api: "responses",
  path: "/responses",
  framing: "events",
  lengthens: ["ignore_eos"],
  leastTokens: 16,
  body: ({ model, prompt, outputTokens, temperature, stream, exact }, { lengthens }) => ({
    model,
    input: prompt.type === "messages" ? prompt.messages : textOf(prompt),
    max_output_tokens: outputTokens,
    temperature,
    stream,
    // Nothing that a benchmark asked is to be kept.
    store: false,
    ...(exact && lengthens === "ignore_eos" && { ignore_eos: true }),
  }),
  heard(event) {
    const fields = objectIn(event);
    switch (fields.type) {
      case "response.output_text.delta":
        return said({ answer: textIn(fields.delta) });
      case "response.reasoning_text.delta":
      case "response.reasoning_summary_text.delta":
        return said({ reasoning: textIn(fields.delta) });
      case "response.completed":
      case "response.incomplete":
      case "response.failed":
        return { ...endHeard(objectIn(fields.response)), ended: true };
      case "error":
        return { error: reasonOf(JSON.stringify(fields)) };
      default:
        return fields.object === "response" ? wholeHeard(fields) : {};
    }
  },
};

/** A response object, as the last event carries it and as an answer without streaming is. */
function wholeHeard({ status, usage, error, incomplete_details, output }: Json): Heard {
  const counts = objectIn(usage);
  return said({
    answer: textIn(
      partsOf(output)
        .map(({ text }) => text)
        .join(""),
    ),
    finish: textIn(objectIn(incomplete_details).reason) ?? textIn(status),
    promptTokens: numberIn(counts.input_tokens),
    cachedTokens: numberIn(objectIn(counts.input_tokens_details).cached_tokens),
    outputTokens: numberIn(counts.output_tokens),
    error: error ? reasonOf(JSON.stringify({ error })) : undefined,
  });
}

/** The last event repeats the whole text, which came in pieces before. */
function endHeard(response: Json): Heard {
  const { answer, ...end } = wholeHeard(response);
  return end;
}

/** The texts of a whole answer: messages of parts. */
const partsOf = (output: unknown): readonly Json[] =>
  listIn(output)
    .flatMap((item) => listIn(objectIn(item).content))
    .map(objectIn)
    .filter(({ type }) => type === "output_text");
