/** HTTP as the benchmark needs it: bytes with the moment they came. */
import type { Clock } from "#actors/runtime/clock";
import { Problem } from "#protocol/problem";

/** The base of an OpenAI-compatible API, such as `http://localhost:52415/v1`. */
export interface Wire {
  readonly url: string;
  /** Rejects when no answer comes; an answer of any status resolves. */
  post(path: string, body: object, signal: AbortSignal): Promise<WireAnswer>;
}

export interface WireAnswer {
  readonly status: number;
  text(): Promise<string>;
  chunks(): AsyncIterable<Uint8Array>;
}

export function httpWire(url: string, key: string | undefined): Wire {
  const headers = {
    "content-type": "application/json",
    ...(key !== undefined && { authorization: `Bearer ${key}` }),
  };
  return {
    url,
    async post(path, body, signal) {
      // No timeout of Bun's own: the benchmark has one, and counts what it cuts.
      const options = { method: "POST", headers, body: JSON.stringify(body), signal, timeout: false };
      const response = await fetch(url + path, options).catch((error: unknown) => {
        if (signal.aborted) throw error;
        throw unreachable(url, error);
      });
      return {
        status: response.status,
        text: () => response.text(),
        chunks: () => response.body ?? new ReadableStream<Uint8Array>({ start: (it) => it.close() }),
      };
    },
  };
}

function unreachable(url: string, error: unknown): Problem {
  const why = error instanceof Error ? error.message : String(error);
  return new Problem("network", `${url} does not answer: ${why}`, {
    remedy: "see that the server runs and that the URL is the one of its API",
    cause: error,
  });
}

export interface TimedEvent {
  /** Of the clock, when the chunk that completed the event came. */
  readonly atMs: number;
  readonly data: string;
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html, the part that one JSON text per event needs. */
export async function* timedEvents(
  chunks: AsyncIterable<Uint8Array>,
  clock: Clock,
): AsyncGenerator<TimedEvent> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    const atMs = clock.nowMs();
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r?\n/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("data:")) yield { atMs, data: line.slice("data:".length).trim() };
    }
  }
}
