/** When the requests of an open load come: milliseconds from the start, ascending. */
import { type Arrival, type Bound, type Load, REQUESTS_MAX } from "./bench-config.ts";
import type { Random } from "./random.ts";

/** How many requests a load would have in a run, where that is more than are kept: a typing mistake should not fill the memory. */
export function tooMany(load: Load): number | undefined {
  if (load.type !== "rate" && load.type !== "ramp") return undefined;
  const perSecond = load.type === "ramp" ? (load.from + load.to) / 2 : Math.max(...load.rate);
  const byTime =
    load.durationMs === undefined ? Number.POSITIVE_INFINITY : (perSecond * load.durationMs) / 1000;
  const count = Math.min(
    byTime,
    ("requests" in load ? load.requests : undefined) ?? Number.POSITIVE_INFINITY,
  );
  return count > REQUESTS_MAX ? Math.round(count) : undefined;
}

/** Whether requests come when they are due, and not when a stream is free; a sweep has both. */
export const isOpen = ({ type }: Load): boolean => type !== "single" && type !== "concurrent";

export interface Arriving extends Bound {
  /** Requests per second. */
  readonly rate: number;
  readonly arrival: Arrival;
  /** Of gamma: 1 is poisson, below 1 comes in bursts, above 1 is more even. */
  readonly burstiness: number;
}

export function arrivalTimes(load: Arriving, random: Random): readonly number[] {
  const { rate, arrival, burstiness, requests = REQUESTS_MAX, durationMs = Number.POSITIVE_INFINITY } = load;
  const meanMs = 1000 / rate;
  const gap = {
    constant: () => meanMs,
    poisson: () => meanMs * random.exponential(),
    gamma: () => (meanMs * random.gamma(burstiness)) / burstiness,
  }[arrival];
  const times: number[] = [];
  for (let at = arrival === "constant" ? 0 : gap(); at < durationMs && times.length < requests; at += gap())
    times.push(at);
  return times;
}

/** Evenly from one rate to another: the n-th request comes when the rate's integral reaches n. */
export function rampTimes({
  from,
  to,
  durationMs,
}: {
  from: number;
  to: number;
  durationMs: number;
}): readonly number[] {
  const seconds = durationMs / 1000;
  const growth = (to - from) / seconds;
  const total = Math.min(REQUESTS_MAX, Math.floor(((from + to) / 2) * seconds));
  const timeOf = (n: number) =>
    growth === 0 ? n / from : (Math.sqrt(from * from + 2 * growth * n) - from) / growth;
  return Array.from({ length: total }, (_, n) => timeOf(n) * 1000);
}
