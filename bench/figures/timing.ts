/** What the times of answers say, in milliseconds per token. */
import type { Answer } from "../peers-side.ts";

/** Per token of the prompt, until the first token of the answer. */
export function prefillMs({ ms }: Answer, promptTokens: number): number {
  const [first = Number.NaN] = ms;
  return first / promptTokens;
}

/**
 * Per token of all streams together, while all of them answer: from when the last has its first token to when the first
 * has its last. Tokens that come with the first are not counted, as they were not waited for.
 */
export function decodeMs(answers: readonly Answer[]): number {
  const from = Math.max(...answers.map(({ ms }) => ms[0] ?? Number.NaN));
  const to = Math.min(...answers.map(({ ms }) => ms.at(-1) ?? Number.NaN));
  const tokens = answers.flatMap(({ ms }) => ms).filter((at) => at > from && at <= to).length;
  return (to - from) / tokens;
}
