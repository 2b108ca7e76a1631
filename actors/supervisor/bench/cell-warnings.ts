/** What a reader must know before the numbers of a cell: failures, and lengths that are not those asked for. */
import type { Cell } from "./grid.ts";
import type { Measured } from "./measure.ts";
import { INTERRUPTED } from "./request.ts";
import type { Sample } from "./sample.ts";

/** Of all that was measured, in whichever sitting. */
export function cellWarnings(cell: Cell, measured: readonly Measured[]): readonly string[] {
  const samples = measured.flatMap(({ run }) => run.samples);
  const good = samples.filter(({ error }) => error === undefined);
  return [
    ...failures(samples),
    ...outputLengths(cell, good),
    ...promptLengths(cell, good),
    ...caching(cell, good),
    ...fillings(measured),
  ].map((text) => `${cell.key}: ${text}`);
}

/** Of requests before the measured ones, which are in no figure: the target may not be warm. */
export function warmUpWarnings({ key }: Cell, samples: readonly Sample[]): readonly string[] {
  const failed = samples.filter(({ error }) => error !== undefined && error !== INTERRUPTED);
  if (failed.length === 0) return [];
  return [
    `${key}: ${failed.length} of ${samples.length} warm-up requests failed, the first with: ${failed[0]?.error}`,
  ];
}

function failures(samples: readonly Sample[]): string[] {
  const failed = samples.filter(({ error }) => error !== undefined);
  if (failed.length === 0) return [];
  return [`${failed.length} of ${samples.length} requests failed, the first with: ${failed[0]?.error}`];
}

function outputLengths({ output, scenario }: Cell, good: readonly Sample[]): string[] {
  if (typeof output !== "number" || !scenario.ignoreEos || isFromFile(scenario.data)) return [];
  const other = good.find(({ outputTokens }) => outputTokens !== output);
  return other ? [`answers are not all ${output} tokens long (one has ${other.outputTokens})`] : [];
}

function promptLengths({ prompt, fill, scenario }: Cell, good: readonly Sample[]): string[] {
  if (typeof prompt !== "number" || scenario.data) return [];
  const odd = good.find(({ promptTokens }) => promptTokens !== prompt + fill);
  return odd ? [`prompts are not all ${prompt + fill} tokens long (one has ${odd.promptTokens})`] : [];
}

/** A chat's template begins every prompt alike, which is no fault of the prompts. */
const CACHED_MOST = 0.1;

function caching({ fill, scenario: { prefixCache, data } }: Cell, good: readonly Sample[]): string[] {
  if (fill > 0) {
    return good.some(({ cachedTokens }) => cachedTokens < fill / 2)
      ? ["the target kept no cache of the filled context; its prefill covers the whole prompt"]
      : [];
  }
  const isFresh = prefixCache === "off" && !data;
  return isFresh && good.some(({ cachedTokens, promptTokens }) => cachedTokens > CACHED_MOST * promptTokens)
    ? ["the target had tokens of fresh prompts cached"]
    : [];
}

/** Which of the joules went into it nobody counts. */
const fillings = (measured: readonly Measured[]): string[] =>
  measured.some(({ run }) => run.energy !== undefined && run.fills !== undefined)
    ? ["its energy holds the filling of the context"]
    : [];

const isFromFile = (data: Cell["scenario"]["data"]): boolean => data !== undefined && "path" in data;
