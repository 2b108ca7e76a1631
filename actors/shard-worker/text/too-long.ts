import { Problem } from "#protocol/problem";

/**
 * A prompt of `tokens` tokens where `contextLength` is the most. The phrase `maximum context length is M tokens` is what
 * agents look for before they compact a conversation.
 */
export function tooLong(contextLength: number, tokens: number | `at least ${number}`): Problem {
  const message = `This model's maximum context length is ${contextLength} tokens, but the prompt has ${tokens} tokens`;
  return new Problem("contextLength", message, {
    param: "prompt",
    remedy: `shorten the prompt to at most ${contextLength - 1} tokens`,
  });
}
