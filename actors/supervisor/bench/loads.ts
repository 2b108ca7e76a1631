/** The two ways requests come: as fast as streams are free (closed), or when they are due (open). */
import type { Clock } from "#actors/runtime/clock";
import type { Bound } from "./bench-config.ts";

export interface LoadPorts {
  readonly clock: Clock;
  /** Ends the load: nothing new is sent, and what runs is cut by whoever sends. */
  readonly signal: AbortSignal;
}

/** `scheduledMs` from the load's start; absent where a request is due when it is sent. */
export interface Issue {
  readonly index: number;
  readonly startMs: number;
  readonly scheduledMs?: number;
}

/** Resolves when its answer has ended; never rejects. */
export type Send = (issue: Issue) => Promise<void>;

/** `streams` requests at any time, a new one as soon as one ends. Returns the window in milliseconds. */
export async function closedLoad(
  {
    streams,
    requests = Number.POSITIVE_INFINITY,
    durationMs = Number.POSITIVE_INFINITY,
  }: { streams: number } & Bound,
  send: Send,
  { clock, signal }: LoadPorts,
): Promise<number> {
  const startMs = clock.nowMs();
  let next = 0;
  const stream = async () => {
    while (next < requests && !signal.aborted && clock.nowMs() - startMs < durationMs) {
      await send({ index: next++, startMs });
    }
  };
  await Promise.all(Array.from({ length: Math.min(streams, requests) }, stream));
  return windowOf(clock.nowMs() - startMs, durationMs);
}

/** What still runs when the time is over is waited for, and its tokens after that do not count. */
const windowOf = (spentMs: number, durationMs: number): number => Math.min(spentMs, durationMs);

/**
 * Each request when it is due, or as soon after as fewer than `maxConcurrency` run. Returns the window: the duration, where
 * there is one, also when the last answer ends before it, or more would seem to be answered than is offered.
 */
export async function openLoad(
  { times, maxConcurrency, durationMs = 0 }: { times: readonly number[]; maxConcurrency: number } & Bound,
  send: Send,
  { clock, signal }: LoadPorts,
): Promise<number> {
  const startMs = clock.nowMs();
  const running = new Set<Promise<void>>();
  for (const [index, scheduledMs] of times.entries()) {
    await until(startMs + scheduledMs, { clock, signal });
    while (running.size >= maxConcurrency) await Promise.race(running);
    if (signal.aborted) break;
    const sent: Promise<void> = send({ index, startMs, scheduledMs }).finally(() => running.delete(sent));
    running.add(sent);
  }
  await Promise.all(running);
  await until(startMs + durationMs, { clock, signal });
  return clock.nowMs() - startMs;
}

/** Waits for a moment of the clock, or for the end of everything. */
export function until(momentMs: number, { clock, signal }: LoadPorts): Promise<void> {
  const waitMs = momentMs - clock.nowMs();
  if (waitMs <= 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(waitMs, done);
    signal.addEventListener("abort", done, { once: true });
  });
}
