/** What of a run counts for rates: its window without the time in which a context was filled. */
import type { Run } from "./sample.ts";

/** Sums of many gaps miss the moment they stand for by less than this. */
const ROUNDING_MS = 0.001;

/** Milliseconds. */
export function countedMs({ windowMs, fills = [] }: Run): number {
  let [ms, at] = [windowMs, 0];
  for (const [from, to] of fills.toSorted(([a], [b]) => a - b)) {
    const [begin, end] = [Math.max(from, at), Math.min(to, windowMs)];
    if (end <= begin) continue;
    ms -= end - begin;
    at = end;
  }
  return ms;
}

/** Whether what came at a moment of the run counts. */
export const isCounted = (atMs: number, { windowMs, fills = [] }: Run): boolean =>
  atMs <= windowMs + ROUNDING_MS &&
  !fills.some(([from, to]) => atMs > from + ROUNDING_MS && atMs <= to + ROUNDING_MS);
