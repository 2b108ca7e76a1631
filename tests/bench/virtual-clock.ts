/** Time that passes only when nothing is left to do now; a test of an hour takes milliseconds. */
import type { Clock } from "#actors/runtime/clock";

export interface VirtualClock extends Clock {
  /** Resolves at a moment of this clock. */
  sleep(ms: number): Promise<void>;
  /** Lets time pass until the work is done. */
  run<T>(work: Promise<T>): Promise<T>;
}

export function virtualClock(): VirtualClock {
  let now = 0;
  let ids = 0;
  const timers = new Set<{ readonly at: number; readonly run: () => void }>();
  const after = (ms: number, run: () => void) => {
    const timer = { at: now + Math.max(0, ms), run };
    timers.add(timer);
    return () => void timers.delete(timer);
  };
  return {
    nowMs: () => now,
    epochSeconds: () => 1_800_000_000 + Math.floor(now / 1000),
    after,
    freshId: () => `id-${ids++}`,
    sleep: (ms) => new Promise((resolve) => void after(ms, resolve)),
    async run(work) {
      let done = false;
      const ended = work.finally(() => {
        done = true;
      });
      // A rejection is the caller's to see, not the loop's.
      ended.catch(() => {});
      while (!done) {
        // What was set off before must have come to rest: macrotasks come after all microtasks.
        for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
        const next = [...timers].toSorted((a, b) => a.at - b.at)[0];
        if (done || !next) continue;
        timers.delete(next);
        now = Math.max(now, next.at);
        next.run();
      }
      return ended;
    },
  };
}
