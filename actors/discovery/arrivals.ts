/**
 * How surprising a silence is, after "The phi accrual failure detector" (https://doi.org/10.1109/RELDIS.2004.1353004): -log10 of
 * the chance that a heartbeat comes later still, were its intervals normally distributed.
 */
const REMEMBERED = 32;
/** Intervals on a quiet machine hardly vary: without a floor a hiccup would look like a death. */
const DEVIATION_MIN_MS = 60;

export class Arrivals {
  readonly #intervals: number[] = [];
  readonly #expectedMs: number;
  #lastMs: number;

  constructor(expectedMs: number, nowMs: number) {
    this.#expectedMs = expectedMs;
    this.#lastMs = nowMs;
  }

  heard(nowMs: number): void {
    this.#intervals.push(nowMs - this.#lastMs);
    if (this.#intervals.length > REMEMBERED) this.#intervals.shift();
    this.#lastMs = nowMs;
  }

  silenceMs(nowMs: number): number {
    return nowMs - this.#lastMs;
  }

  /** 0 where the silence is no longer than any heartbeat takes, which is what is asked nearly always. */
  phi(nowMs: number): number {
    if (this.silenceMs(nowMs) <= this.#expectedMs) return 0;
    const mean = Math.max(this.#expectedMs, average(this.#intervals));
    const variance = average(this.#intervals.map((interval) => (interval - mean) ** 2));
    const distance = (this.silenceMs(nowMs) - mean) / Math.max(DEVIATION_MIN_MS, Math.sqrt(variance));
    return -Math.log10(Math.max(Number.MIN_VALUE, chanceBeyond(distance)));
  }
}

const average = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;

/** The standard normal distribution beyond x, by a logistic approximation (Bowling et al., https://doi.org/10.3926/jiem.2009.v2n1.p114-127). */
const chanceBeyond = (x: number): number => {
  const power = Math.exp(-x * (1.5976 + 0.070566 * x * x));
  return x > 0 ? power / (1 + power) : 1 - 1 / (1 + power);
};
