/** The generations of one request, run side by side and merged into one stream of deltas. */
import type { Delta, Generation } from "#protocol/generation";
import { Problem } from "#protocol/problem";
import type { ChoiceDelta } from "./dialects/dialect.ts";
import type { Generate } from "./ports.ts";

/** One request with many choices must not fill a worker's queue; the others wait here. */
const IN_FLIGHT_MAX = 8;

/** Deltas of all choices as they come. When one fails, or the reader leaves, the others are aborted. */
export async function* runChoices(
  generations: readonly Generation[],
  generate: Generate,
  signal: AbortSignal,
): AsyncGenerator<ChoiceDelta> {
  const controller = new AbortController();
  const abort = () => controller.abort();
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  const running = new Map<number, Promise<Step>>();
  const waiting = generations.map((generation, choice) => ({ generation, choice })).values();
  const startNext = () => {
    const { value, done } = waiting.next();
    if (done) return;
    const deltas = generate(value.generation, controller.signal)[Symbol.asyncIterator]();
    running.set(value.choice, step(value.choice, deltas, controller.signal));
  };
  try {
    while (running.size < IN_FLIGHT_MAX && running.size < generations.length) startNext();
    while (running.size > 0) {
      const { choice, deltas, delta } = await Promise.race(running.values());
      yield { choice, delta };
      if (delta.type === "finish") {
        running.delete(choice);
        startNext();
      } else running.set(choice, step(choice, deltas, controller.signal));
    }
  } finally {
    signal.removeEventListener("abort", abort);
    abort();
    for (const left of running.values()) left.catch(() => {}); // one failure is told; those it caused are not
  }
}

interface Step {
  readonly choice: number;
  readonly deltas: AsyncIterator<Delta>;
  readonly delta: Delta;
}

async function step(choice: number, deltas: AsyncIterator<Delta>, signal: AbortSignal): Promise<Step> {
  const { value, done } = await deltas.next();
  if (!done) return { choice, deltas, delta: value };
  if (signal.aborted) throw new Problem("cancelled", "the client left before its answer was complete");
  throw new Problem("internal", "the answer ended without saying why");
}
