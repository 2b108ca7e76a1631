/** How well a model predicts a text: what a speed-up that damages answers makes worse. */
import { Problem } from "#protocol/problem";
import { askWhole } from "../asking.ts";
import type { Checked, CheckPorts } from "../checks.ts";
import { listIn, objectIn } from "../dialects/dialect.ts";
import { scoreBody } from "../dialects/engine.ts";

/** Characters scored at once, some hundred tokens: every part begins without what came before. */
const PART_CHARS = 2_000;
/** What follows says little more, and scoring costs as much as prefill. */
const PARTS_MAX = 50;

/** exp of the mean negative log-probability of a token, given those before it in its part of the text. */
export async function perplexityOf(source: string, ports: CheckPorts): Promise<Checked> {
  let [sum, tokens] = [0, 0];
  for (const part of textOf(source, ports.read)) {
    const scores = (await scoresOf(part, ports))?.filter((score) => typeof score === "number");
    if (!scores) return "the target scores no prompts (echo with logprobs of /v1/completions)";
    sum += scores.reduce((total, score) => total + score, 0);
    tokens += scores.length;
  }
  if (tokens === 0) return "the target gave no scores";
  return { value: Math.exp(-sum / tokens), count: tokens };
}

/** Throws Problem: a text without words has no perplexity. */
export function textOf(source: string, read: (path: string) => string): readonly string[] {
  const parts = partsOf(read(source));
  if (parts.length > 0) return parts;
  throw new Problem("invalid", `${source} is empty`, { remedy: "give a text to be scored" });
}

async function scoresOf(
  prompt: string,
  { ask, abilities, model }: CheckPorts,
): Promise<readonly unknown[] | undefined> {
  const isEngine = abilities.dialect.api === "engine";
  const body = { model, prompt, echo: true, logprobs: 1, max_tokens: 0, temperature: 0 };
  const { status, json } = isEngine
    ? await askWhole(ask, abilities.dialect.path, scoreBody(model, prompt))
    : await askWhole(ask, "/completions", body);
  if (status >= 400) return undefined;
  if (isEngine) return listIn(objectIn(json).scores);
  return listIn(objectIn(objectIn(listIn(objectIn(json).choices)[0]).logprobs).token_logprobs);
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
