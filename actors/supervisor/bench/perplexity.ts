/** How well a model predicts a text: what a speed-up that damages answers makes worse. */
import type { Wire } from "./wire.ts";

export interface Quality {
  readonly scenario: string;
  readonly model: string;
  /** exp of the mean negative log-probability of a token, given those before it in its part of the text. */
  readonly perplexity: number;
  readonly tokens: number;
}

/** Characters scored at once, some hundred tokens: every part begins without what came before. */
const PART_CHARS = 2_000;
/** What follows says little more, and scoring costs as much as prefill. */
const PARTS_MAX = 50;

/** Undefined where the target does not score prompts (`echo` with `logprobs` of /v1/completions). */
export async function perplexityOf(
  text: string,
  { wire, model, signal }: { wire: Wire; model: string; signal: AbortSignal },
): Promise<Pick<Quality, "perplexity" | "tokens"> | undefined> {
  let [sum, tokens] = [0, 0];
  for (const part of partsOf(text)) {
    const body = { model, prompt: part, echo: true, logprobs: 1, max_tokens: 0, temperature: 0 };
    const answer = await wire.post("/completions", body, signal);
    if (answer.status >= 400) return undefined;
    const scores: readonly (number | null)[] =
      JSON.parse(await answer.text()).choices?.[0]?.logprobs?.token_logprobs ?? [];
    const known = scores.filter((score) => score !== null);
    sum += known.reduce((total, score) => total + score, 0);
    tokens += known.length;
  }
  return tokens === 0 ? undefined : { perplexity: Math.exp(-sum / tokens), tokens };
}

/** Cut where words end. */
export function partsOf(text: string): readonly string[] {
  const parts: string[] = [];
  let rest = text.trim();
  while (rest !== "" && parts.length < PARTS_MAX) {
    const blank = rest.length > PART_CHARS ? rest.lastIndexOf(" ", PART_CHARS) : rest.length;
    const end = blank > 0 ? blank : PART_CHARS;
    parts.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  return parts;
}
