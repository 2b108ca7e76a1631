/** One request of a dialect: from its body to a whole answer or a stream of records. */
import { Problem } from "#protocol/problem";
import { runChoices } from "./choices.ts";
import { collect } from "./dialects/collect.ts";
import type { ChoiceDelta, Dialect, Frame } from "./dialects/dialect.ts";
import { eventStream } from "./event-stream.ts";
import type { GatewayPorts } from "./ports.ts";
import type { Visit } from "./visit.ts";

/** How long the first delta may keep the status back: errors after that travel inside the stream. */
const OPENING_MS = 900;

export interface Exchange {
  readonly ports: GatewayPorts;
  readonly visit: Visit;
  /** The request's body. */
  readonly read: () => Promise<unknown>;
}

/** Throws a Problem for whatever is known to be wrong before the first byte of the answer. */
export async function answerIn<Body>(dialect: Dialect<Body>, exchange: Exchange): Promise<Response> {
  const { ports, visit } = exchange;
  const body = dialect.parse(await exchange.read());
  const asked = { body, id: `${dialect.idPrefix}${ports.newId()}`, created: ports.nowSeconds() };
  const generations = dialect.toGenerations(asked);
  const controller = new AbortController();
  const abort = () => controller.abort();
  visit.signal.addEventListener("abort", abort, { once: true });
  if (visit.signal.aborted) abort();
  const deltas = runChoices(generations, ports.generate, controller.signal);
  if (!dialect.streams(body)) return json(dialect.answer(asked, await collect(deltas, generations.length)));

  const opened = await opening(deltas, ports);
  const frames = told(dialect, dialect.stream(asked, opened), ports);
  const over = visit.streams();
  return new Response(eventStream(frames, { after: ports.after, cancelled: abort, over }), {
    headers: streamHeaders,
  });
}

export const streamHeaders = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
};

export const json = (body: object, status = 200, headers: Readonly<Record<string, string>> = {}): Response =>
  new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json", ...headers } });

/** The same deltas, once the first has come or has taken too long; throws what went wrong before it. */
async function opening(
  deltas: AsyncGenerator<ChoiceDelta>,
  { after }: GatewayPorts,
): Promise<AsyncIterable<ChoiceDelta>> {
  const first = deltas.next();
  let cancelTimer = () => {};
  const late = new Promise<void>((resolve) => {
    cancelTimer = after(OPENING_MS, resolve);
  });
  await Promise.race([first, late]).finally(cancelTimer);
  return (async function* () {
    const { value, done } = await first;
    if (done) return;
    yield value;
    yield* deltas;
  })();
}

/** The frames, and any failure among them as the dialect tells it. */
async function* told<Body>(
  dialect: Dialect<Body>,
  frames: AsyncIterable<Frame>,
  ports: GatewayPorts,
): AsyncGenerator<Frame> {
  try {
    yield* frames;
  } catch (error) {
    yield* dialect.failureFrames(toProblem(error, ports));
  }
}

/** What is not a Problem is a bug: it is reported, and the client learns no more than that. */
export function toProblem(error: unknown, { report }: GatewayPorts): Problem {
  if (error instanceof Problem) return error;
  report?.(error);
  const why = error instanceof Error ? error.message : String(error);
  return new Problem("internal", `internal error: ${why}`, { cause: error });
}
