/** Ollama's chat, one JSON text a line: https://github.com/ollama/ollama/blob/main/docs/api.md. */

import { type Dialect, numberIn, objectIn, reasonOf, said, textIn } from "./dialect.ts";
import { messagesOf } from "./openai.ts";

export const ollama: Dialect = {
  api: "ollama",
  path: "/api/chat",
  framing: "lines",
  // It takes any option in silence, so that asking would tell nothing.
  lengthens: [],
  leastTokens: 1,
  body: ({ model, prompt, outputTokens, temperature, stream, contextTokens }) => ({
    model,
    messages: messagesOf(prompt),
    stream,
    options: { num_predict: outputTokens, temperature, ...said({ num_ctx: contextTokens }) },
  }),
  heard(event) {
    const fields = objectIn(event);
    const message = objectIn(fields.message);
    return said({
      answer: textIn(message.content),
      reasoning: textIn(message.thinking),
      finish: textIn(fields.done_reason) ?? (fields.done === true ? "done" : undefined),
      promptTokens: numberIn(fields.prompt_eval_count),
      outputTokens: numberIn(fields.eval_count),
      // Loading the model is a wait before the prompt is begun; nanoseconds.
      queueMs: millis(fields.load_duration),
      error: fields.error === undefined ? undefined : reasonOf(JSON.stringify(fields)),
      ended: fields.done === true ? true : undefined,
    });
  },
};

const millis = (nanoseconds: unknown): number | undefined => {
  const count = numberIn(nanoseconds);
  return count === undefined ? undefined : count / 1e6;
};
