/** Synthetic prompts of exact lengths: seeded, and no two alike unless a shared prefix is asked for. */
import { countedTokens, type TargetAbilities } from "./abilities.ts";
import type { AskPorts } from "./asking.ts";
import type { Distribution, Length } from "./bench-config.ts";
import type { PromptText } from "./question.ts";
import { type Random, randomOf } from "./random.ts";
import { COMMON_WORDS } from "./words.ts";

export interface Prompts {
  /** `prefix` gives the same beginning to all prompts that name it; the rest is of `random`. */
  make(
    tokens: number,
    random: Random,
    prefix?: { readonly name: string; readonly tokens: number },
  ): PromptText;
  /** What makes lengths inexact, for the report. */
  readonly warning?: string;
}

export interface PromptPorts extends AskPorts {
  readonly model: string;
  readonly abilities: TargetAbilities;
  readonly seed: number;
}

export async function promptsFor(ports: PromptPorts): Promise<Prompts> {
  const { abilities, seed } = ports;
  if (abilities.tokenIds) {
    const ids = drawnFrom(abilities.pool, seed);
    return { make: (...asked) => ({ type: "tokens", ids: ids(...asked) }) };
  }
  const { words, overhead, warning } = await calibrated(ports);
  const drawn = drawnFrom(words, seed);
  return {
    make: (tokens, random, prefix) => ({
      type: "text",
      text: drawn(Math.max(1, tokens - overhead), random, prefix).join(" "),
    }),
    ...(warning !== undefined && { warning }),
  };
}

type Draw<T> = (count: number, random: Random, prefix?: { name: string; tokens: number }) => readonly T[];

function drawnFrom<T>(pool: readonly T[], seed: number): Draw<T> {
  const draw = (count: number, random: Random) =>
    Array.from({ length: count }, () => pool[random.below(pool.length)] as T);
  return (count, random, prefix) => {
    if (!prefix) return draw(count, random);
    const shared = draw(Math.min(prefix.tokens, count - 1), randomOf(seed, "prefix", prefix.name));
    return [...shared, ...draw(count - shared.length, random)];
  };
}

interface Calibration {
  readonly words: readonly string[];
  /** Tokens that a prompt has beside its words: template, beginning of text. */
  readonly overhead: number;
  readonly warning?: string;
}

/** Few are enough to make prompts differ, and each probe is a prompt to be computed. */
const WORDS_MOST = 64;
const WORDS_LEAST = 8;

/** Searches, by what `usage` counts, words of one token each; then so many words are so many tokens. */
async function calibrated(ports: PromptPorts): Promise<Calibration> {
  const all = COMMON_WORDS.slice(0, WORDS_MOST);
  const { abilities, model } = ports;
  const counted = async (words: readonly string[]) =>
    (await countedTokens(ports, abilities, { model, text: words.join(" ") })) ?? 0;
  // Said twice, the second time every word stands after a blank and the overhead cancels out.
  const cost = async (words: readonly string[]) =>
    (await counted([...words, ...words])) - (await counted(words));
  const single = async (words: readonly string[]): Promise<readonly string[]> => {
    if ((await cost(words)) === words.length) return words;
    if (words.length === 1) return [];
    const half = words.length >> 1;
    return [...(await single(words.slice(0, half))), ...(await single(words.slice(half)))];
  };
  const words = await single(all);
  const chosen = words.length >= WORDS_LEAST ? words : all;
  const overhead = (await counted(chosen)) - chosen.length;
  const isExact = words.length >= WORDS_LEAST;
  if (isExact) return { words: chosen, overhead };
  return {
    words: chosen,
    overhead: 0,
    warning: "the target's count of prompt tokens fits no word list: prompt lengths are approximate",
  };
}

/** One length out of what the config says. */
export function drawnLength(length: Length, random: Random): number {
  return typeof length === "number" ? length : fromDistribution(length, random);
}

function fromDistribution({ dist, mean, std, min, max }: Distribution, random: Random): number {
  const within = (value: number) => Math.min(max, Math.max(min, Math.round(value)));
  switch (dist) {
    case "uniform":
      return min + random.below(max - min + 1);
    case "normal":
      return within(mean + std * random.normal());
    case "lognormal": {
      // Mean and deviation of the values themselves, not of their logarithms.
      const variance = Math.log(1 + (std / mean) ** 2);
      return within(Math.exp(Math.log(mean) - variance / 2 + Math.sqrt(variance) * random.normal()));
    }
  }
}
