/** Numbers about numbers. Percentiles interpolate linearly between raw samples. */
import { type Static, Type as t } from "@sinclair/typebox";
import type { Frozen } from "./frozen.ts";
import type { Random } from "./random.ts";

/** What a list of samples looks like; `p99` only from 100 samples on, because below that it is the maximum in disguise. */
export const Spread = t.Object({
  count: t.Integer(),
  mean: t.Number(),
  std: t.Number(),
  min: t.Number(),
  p50: t.Number(),
  p90: t.Number(),
  p99: t.Optional(t.Number()),
  max: t.Number(),
});
export type Spread = Frozen<Static<typeof Spread>>;

export const P99_SAMPLES_MIN = 100;

/** Undefined where there is nothing to describe. */
export function spreadOf(samples: readonly number[]): Spread | undefined {
  if (samples.length === 0) return undefined;
  const sorted = samples.toSorted((a, b) => a - b);
  return {
    count: sorted.length,
    mean: meanOf(sorted),
    std: stdOf(sorted),
    min: percentile(sorted, 0),
    p50: percentile(sorted, 50),
    p90: percentile(sorted, 90),
    ...(sorted.length >= P99_SAMPLES_MIN && { p99: percentile(sorted, 99) }),
    max: percentile(sorted, 100),
  };
}

/** Of sorted samples: position p/100 x (n - 1), as numpy's default and Excel's PERCENTILE.INC have it. */
export function percentile(sorted: readonly number[], p: number): number {
  const place = (p / 100) * (sorted.length - 1);
  const low = sorted[Math.floor(place)] ?? Number.NaN;
  const high = sorted[Math.ceil(place)] ?? Number.NaN;
  return low + (high - low) * (place - Math.floor(place));
}

export const medianOf = (samples: readonly number[]): number =>
  percentile(
    samples.toSorted((a, b) => a - b),
    50,
  );

export const meanOf = (samples: readonly number[]): number =>
  samples.reduce((sum, each) => sum + each, 0) / samples.length;

/** Of a sample (n - 1); 0 for a single one. */
export function stdOf(samples: readonly number[]): number {
  if (samples.length < 2) return 0;
  const mean = meanOf(samples);
  return Math.sqrt(samples.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (samples.length - 1));
}

/** Standard deviation over mean; undefined below two samples, where nothing is known of the spread. */
export const variationOf = (samples: readonly number[]): number | undefined =>
  samples.length < 2 || meanOf(samples) === 0 ? undefined : stdOf(samples) / meanOf(samples);

export const Change = t.Object({
  ratio: t.Number({ description: "0.05 is five per cent more than the baseline" }),
  interval: t.Optional(
    t.Tuple([t.Number(), t.Number()], {
      description: "of 95 %; absent where a side has a single run, which says nothing of its spread",
    }),
  ),
});
export type Change = Frozen<Static<typeof Change>>;

const RESAMPLES = 2000;

/** The change of the mean over runs, with a percentile bootstrap over the runs of both sides. */
export function changeOf(before: readonly number[], after: readonly number[], random: Random): Change {
  const ratio = meanOf(after) / meanOf(before) - 1;
  if (before.length < 2 || after.length < 2) return { ratio };
  const drawn = (from: readonly number[]) =>
    meanOf(from.map(() => from[random.below(from.length)] ?? Number.NaN));
  // A draw of nothing but zeros has no ratio.
  const ratios = Array.from({ length: RESAMPLES }, () => drawn(after) / drawn(before) - 1)
    .filter(Number.isFinite)
    .sort((a, b) => a - b);
  if (ratios.length === 0) return { ratio };
  return { ratio, interval: [percentile(ratios, 2.5), percentile(ratios, 97.5)] };
}
