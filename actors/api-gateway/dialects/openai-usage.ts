/** Counts and times of all choices of one request. */
import type { Finish } from "./dialect.ts";

/** Choices of one prompt share it, so its tokens count once: `perPrompt` choices in a row belong together. */
export function usageOf(finishes: readonly Finish[], perPrompt: number) {
  const prompts = finishes.filter((_, choice) => choice % perPrompt === 0);
  const promptTokens = sum(prompts, ({ usage }) => usage.promptTokens);
  const completionTokens = sum(finishes, ({ usage }) => usage.completionTokens);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: sum(prompts, ({ usage }) => usage.cachedTokens) },
    completion_tokens_details: {
      reasoning_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

/** An extension of ours, read by `exo run --stats`; several choices add up. */
export function timingsOf(finishes: readonly Finish[], perPrompt: number) {
  const { prompt_tokens, completion_tokens, prompt_tokens_details } = usageOf(finishes, perPrompt);
  return {
    queue_ms: Math.max(0, ...finishes.map(({ timings }) => timings.queueMs)),
    prefill_ms: sum(finishes, ({ timings }) => timings.prefillMs),
    decode_ms: sum(finishes, ({ timings }) => timings.decodeMs),
    prompt_tokens,
    completion_tokens,
    cached_tokens: prompt_tokens_details.cached_tokens,
  };
}

const sum = (finishes: readonly Finish[], of: (finish: Finish) => number): number =>
  finishes.reduce((total, finish) => total + of(finish), 0);
