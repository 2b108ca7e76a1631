/** HTTP as the benchmark needs it: bytes with the moment they came. */
import type { Clock } from "#actors/runtime/clock";
import { Problem } from "#protocol/problem";
import { trustFor } from "../daemon/client.ts";
import type { Framing } from "./dialects/dialect.ts";

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
    // Anthropic's API wants its version named, and the key in a header of its own.
    "anthropic-version": "2023-06-01",
    ...(key !== undefined && { authorization: `Bearer ${key}`, "x-api-key": key }),
  };
  const own = trustFor(url);
  return {
    url,
    async post(path, body, signal) {
      // No timeout of Bun's own: the benchmark has one, and counts what it cuts.
      const options = { method: "POST", headers, body: JSON.stringify(body), signal, timeout: false, ...own };
      const response = await fetch(url + path, options).catch((error: unknown) => {
        if (signal.aborted) throw error;
        throw unreachable(url, error);
      });
      const chunks = () => response.body ?? new ReadableStream<Uint8Array>({ start: (it) => it.close() });
      return { status: response.status, text: () => textIn(chunks()), chunks };
    },
  };
}

function unreachable(url: string, error: unknown): Problem {
  const why = error instanceof Error ? error.message : String(error);
  const trust = /certificate/i.test(why) ? ", and trust its certificate (NODE_EXTRA_CA_CERTS=FILE)" : "";
  return new Problem("network", `${url} does not answer: ${why}`, {
    remedy: `see that the server runs and that the URL is the one of its API${trust}`,
    cause: error,
  });
}

export interface TimedEvent {
  /** Of the clock, when the chunk that completed the event came. */
  readonly atMs: number;
  readonly data: string;
}

/** An event of megabytes is no token; what goes on without an end must not fill the memory. */
const LINE_CHARS_MAX = 16 * 1024 * 1024;
/** Of an answer that is read whole: the scores of a long prompt are some. */
const TEXT_BYTES_MAX = 64 * 1024 * 1024;

/**
 * One JSON text per event, as https://html.spec.whatwg.org/multipage/server-sent-events.html has them in its `data:`
 * lines, or one per line.
 */
export async function* timedEvents(
  chunks: AsyncIterable<Uint8Array>,
  { clock, framing }: { readonly clock: Clock; readonly framing: Framing },
): AsyncGenerator<TimedEvent> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    const atMs = clock.nowMs();
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r?\n/);
    rest = lines.pop() ?? "";
    if (rest.length > LINE_CHARS_MAX)
      throw new Error(`the answer has a line of over ${LINE_CHARS_MAX} characters`);
    for (const line of lines) {
      const data = framing === "lines" ? line.trim() : eventIn(line);
      if (data !== undefined && data !== "") yield { atMs, data };
    }
  }
}

const eventIn = (line: string): string | undefined =>
  line.startsWith("data:") ? line.slice("data:".length).trim() : undefined;

async function textIn(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > TEXT_BYTES_MAX) throw new Error(`the answer is longer than ${TEXT_BYTES_MAX} bytes`);
    parts.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(parts));
}
