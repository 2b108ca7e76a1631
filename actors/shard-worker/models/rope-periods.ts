/**
 * Periods of the channel pairs, in positions per radian: the reciprocal of what Hugging Face calls `inv_freq`. All are
 * computed in double precision from the formulas of transformers' `modeling_rope_utils`.
 */
import { Problem } from "#protocol/problem";
import type { RopeParameters } from "./rope.ts";

/** `original` positions were trained on, `positions` are served; `factor` is their stretch. */
export interface Spectrum {
  readonly dims: number;
  readonly base: number;
  readonly factor: number;
  readonly original: number;
  readonly positions: number;
  /** Share of the channels that turn. */
  readonly partial: number;
}

interface Amplified {
  readonly periods: readonly number[];
  readonly amplitude: number;
}

const plain = ({ dims, base }: Spectrum): number[] =>
  Array.from({ length: dims / 2 }, (_, i) => base ** ((2 * i) / dims));

/** Llama 3.1: long waves are stretched, short ones kept, those between blended. */
export function llama3Periods(spectrum: Spectrum, parameters: RopeParameters): number[] {
  const { low_freq_factor: low = 1, high_freq_factor: high = 4 } = parameters;
  const original = parameters.original_max_position_embeddings ?? 8192;
  return plain(spectrum).map((period) => {
    const wave = 2 * Math.PI * period;
    if (wave > original / low) return period * spectrum.factor;
    if (wave < original / high) return period;
    const smooth = (original / wave - low) / (high - low);
    return period / ((1 - smooth) / spectrum.factor + smooth);
  });
}

/** YaRN: a ramp between stretched and kept waves, and an amplitude that keeps attention as sharp as before. */
export function yarnPeriods(spectrum: Spectrum, parameters: RopeParameters): Amplified {
  const { dims, base, factor, original } = spectrum;
  const { beta_fast: fast = 32, beta_slow: slow = 1, truncate = true } = parameters;
  const dimOf = (turns: number) => (dims * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(base));
  const low = Math.max(truncate ? Math.floor(dimOf(fast)) : dimOf(fast), 0);
  const high = Math.min(truncate ? Math.ceil(dimOf(slow)) : dimOf(slow), dims - 1);
  const width = high === low ? 0.001 : high - low;
  const periods = plain(spectrum).map((period, i) => {
    const stretched = Math.min(Math.max((i - low) / width, 0), 1);
    return 1 / ((1 - stretched) / period + stretched / (factor * period));
  });
  return { periods, amplitude: parameters.attention_factor ?? yarnAmplitude(factor, parameters) };
}

function yarnAmplitude(factor: number, { mscale, mscale_all_dim: allDim }: RopeParameters): number {
  const grown = (share: number) => (factor <= 1 ? 1 : 0.1 * share * Math.log(factor) + 1);
  return mscale && allDim ? grown(mscale) / grown(allDim) : grown(1);
}

/**
 * LongRoPE: a factor per channel pair. The long factors serve every length where the context served is longer than the
 * one trained on: switching by length, as transformers does, would make old keys disagree with new ones.
 */
export function longropePeriods(spectrum: Spectrum, parameters: RopeParameters): Amplified {
  const { positions, original } = spectrum;
  const { long_factor: long, short_factor: short } = parameters;
  const factors = positions > original ? long : (short ?? long);
  if (!factors || factors.length !== spectrum.dims / 2) {
    throw new Problem(
      "invalid",
      `longrope needs ${spectrum.dims / 2} factors, config.json has ${factors?.length ?? 0}`,
      {
        param: "rope_scaling",
      },
    );
  }
  const ratio = positions > original ? positions / original : spectrum.factor;
  const grown = ratio <= 1 ? 1 : Math.sqrt(1 + Math.log(ratio) / Math.log(original));
  return {
    periods: plain(spectrum).map((period, i) => period * (factors[i] ?? 1)),
    amplitude: parameters.attention_factor ?? grown,
  };
}

/** Only the first share of the channels turns, over the spectrum of the whole head. */
export function proportionalPeriods(spectrum: Spectrum): number[] {
  const turning = Math.trunc((spectrum.partial * spectrum.dims) / 2);
  return plain(spectrum).map((period, i) =>
    i < turning ? period * spectrum.factor : Number.POSITIVE_INFINITY,
  );
}
