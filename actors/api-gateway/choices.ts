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
  const running = new Map<number, Running>();
  const waiting = generations.entries();
  const startNext = () => {
    const { value, done } = waiting.next();
    if (done) return;
    const [choice, generation] = value;
    const deltas = generate(generation, controller.signal)[Symbol.asyncIterator]();
    running.set(choice, { deltas, next: step(choice, deltas, controller.signal) });
  };
  try {
    while (running.size < Math.min(IN_FLIGHT_MAX, generations.length)) startNext();
    while (running.size > 0) {
      const { choice, deltas, delta } = await Promise.race([...running.values()].map(({ next }) => next));
      yield { choice, delta };
      if (delta.type === "finish") {
        running.delete(choice);
        await deltas.return?.(); // lets it clean up: nobody will ask it for more
        startNext();
      } else running.set(choice, { deltas, next: step(choice, deltas, controller.signal) });
    }
  } finally {
    signal.removeEventListener("abort", abort);
    abort();
    for (const left of running.values()) settle(left);
  }
}

interface Running {
  readonly deltas: AsyncIterator<Delta>;
  readonly next: Promise<Step>;
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

/** Ends an aborted generation. One failure has been told; what it caused in the others is not news. */
function settle({ deltas, next }: Running): void {
  next.catch(() => {});
  deltas.return?.().catch(() => {});
}
