/** OpenAI's chat and completions, the APIs that most servers speak: https://platform.openai.com/docs/api-reference. */
import { type PromptText, type Question, textOf } from "../question.ts";
import {
  type Asking,
  type Dialect,
  type Heard,
  idsIn,
  listIn,
  numberIn,
  objectIn,
  reasonOf,
  said,
  textIn,
} from "./dialect.ts";

export const openaiChat: Dialect = {
  api: "chat",
  path: "/chat/completions",
  framing: "events",
  lengthens: ["ignore_eos", "min_tokens"],
  leastTokens: 1,
  body: (question, how) => ({ messages: messagesOf(question.prompt), ...common(question, how) }),
  heard,
};

export const openaiCompletions: Dialect = {
  api: "completions",
  path: "/completions",
  framing: "events",
  lengthens: ["ignore_eos", "min_tokens"],
  leastTokens: 1,
  body: (question, how) => ({
    prompt: question.prompt.type === "tokens" ? question.prompt.ids : textOf(question.prompt),
    ...common(question, how),
  }),
  heard,
};

/** A prompt as a conversation; token ids cannot say who speaks. */
export const messagesOf = (prompt: PromptText): readonly object[] =>
  prompt.type === "messages" ? prompt.messages : [{ role: "user", content: textOf(prompt) }];

function common(question: Question, { lengthens, tokenIds }: Asking): object {
  const { model, outputTokens, temperature, stream, exact } = question;
  return {
    model,
    max_tokens: outputTokens,
    temperature,
    stream,
    ...(stream && { stream_options: { include_usage: true } }),
    ...(exact && lengthens === "ignore_eos" && { ignore_eos: true }),
    ...(exact && lengthens === "min_tokens" && { min_tokens: outputTokens }),
    ...(tokenIds && { return_token_ids: true }),
  };
}

/** `token_ids` and `prompt_token_ids` are an extension that vLLM and exo share, `timings` is exo's. */
function heard(event: unknown): Heard {
  const { choices, usage, timings, error } = objectIn(event);
  const choice = objectIn(listIn(choices)[0]);
  const piece = objectIn(choice.delta ?? choice.message);
  const counts = objectIn(usage);
  return said({
    answer: textIn(piece.content) ?? textIn(choice.text),
    reasoning: textIn(piece.reasoning_content) ?? textIn(piece.reasoning),
    ids: idsIn(choice.token_ids),
    promptIds: idsIn(choice.prompt_token_ids),
    finish: textIn(choice.finish_reason),
    promptTokens: numberIn(counts.prompt_tokens),
    cachedTokens: numberIn(objectIn(counts.prompt_tokens_details).cached_tokens),
    outputTokens: numberIn(counts.completion_tokens),
    queueMs: numberIn(objectIn(timings).queue_ms),
    error: error ? reasonOf(JSON.stringify({ error })) : undefined,
  });
}
