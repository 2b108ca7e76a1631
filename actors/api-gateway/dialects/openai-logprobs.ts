/** Token scores in OpenAI's two shapes. */
import type { TokenLogprob, TokenScore } from "#protocol/generation";

/** JSON has no minus infinity; OpenAI writes this for a token that cannot be. */
const LOGPROB_MIN = -9999;

const finite = (logprob: number): number => Math.max(logprob, LOGPROB_MIN);

const entry = ({ text, bytes, logprob }: TokenScore) => ({ token: text, logprob: finite(logprob), bytes });

/** The shape of chat completions. */
export const chatLogprobs = (tokens: readonly TokenLogprob[]) => ({
  content: tokens.map((token) => ({ ...entry(token), top_logprobs: token.top.map(entry) })),
  refusal: null,
});

/** A token of echoed prompt or answer; the first of a prompt has a text and no score. */
export type Scored = TokenLogprob | { readonly text: string };

/** The shape of legacy completions: four lists of one length; offsets count code points, from `offset`. */
export function legacyLogprobs(tokens: readonly Scored[], offset: number) {
  let at = offset;
  const offsets = tokens.map(({ text }) => {
    const here = at;
    at += [...text].length;
    return here;
  });
  return {
    tokens: tokens.map(({ text }) => text),
    token_logprobs: tokens.map((token) => ("logprob" in token ? finite(token.logprob) : null)),
    top_logprobs: tokens.map((token) => ("logprob" in token ? rivals(token) : null)),
    text_offset: offsets,
  };
}

/** Text to score, the best rivals and the chosen token; of two tokens with one text the likelier stays. */
function rivals(token: TokenLogprob): Record<string, number> {
  const best = new Map(token.top.map(({ text, logprob }) => [text, finite(logprob)] as const).reverse());
  if (!best.has(token.text)) best.set(token.text, finite(token.logprob));
  return Object.fromEntries([...best].sort(([, a], [, b]) => b - a));
}

/** Each prompt token with its text; `texts` is what the worker says beside the scores. */
export const scoredPrompt = (
  scores: readonly (TokenLogprob | null)[],
  texts: readonly string[] | undefined,
): readonly Scored[] => scores.map((score, at) => score ?? { text: texts?.[at] ?? "" });
