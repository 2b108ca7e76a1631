/** Talks to a running exo over HTTP. */
import { Problem, type ProblemKind } from "#protocol/problem";
import { CommandProblem, EXIT } from "../exit-code.ts";

export interface Client {
  readonly url: string;
  /** Whether an exo answers there, within so many milliseconds; what refuses is none at once. Never throws. */
  isExo(ms: number): Promise<boolean>;
  /** The answer's JSON; throws Problem. */
  get<T>(path: string, signal?: AbortSignal): Promise<T>;
  post<T>(path: string, body: object, signal?: AbortSignal): Promise<T>;
  /** The events of a server-sent stream as JSON, up to `[DONE]`. An `error` event is thrown as a Problem. */
  stream(path: string, body: object, signal?: AbortSignal): AsyncGenerator<Record<string, unknown>>;
}

/** What this machine shows itself is made here and vouched for by nobody; it does not leave the machine. */
export const trustFor = (url: string): { readonly tls?: { readonly rejectUnauthorized: false } } =>
  /^https:\/\/(127\.0\.0\.1|localhost|\[::1\])(:|\/|$)/.test(url)
    ? { tls: { rejectUnauthorized: false } }
    : {};

export function clientOf(url: string, key: string | undefined): Client {
  const own = trustFor(url);
  const authorization = key === undefined ? {} : { authorization: `Bearer ${key}` };

  async function ask(path: string, init: RequestInit): Promise<Response> {
    // No timeout: a model may load for long, and the user can leave at any time.
    const options = {
      ...init,
      headers: { ...authorization, "content-type": "application/json" },
      timeout: false,
      ...own,
    };
    const response = await fetch(url + path, options).catch((error: unknown) => {
      throw init.signal?.aborted ? error : unreachable(url, error);
    });
    if (!response.ok) throw await problemFrom(response);
    return response;
  }

  const posted = (path: string, body: object, signal?: AbortSignal) =>
    ask(path, { method: "POST", body: JSON.stringify(body), ...(signal && { signal }) });

  return {
    url,
    async isExo(ms) {
      try {
        const response = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(ms), ...own });
        return response.ok && response.headers.has("x-exo-node");
      } catch {
        return false; // refused, silent or not HTTP: no exo in any case.
      }
    },
    get: async <T>(path: string, signal?: AbortSignal) =>
      (await ask(path, { ...(signal && { signal }) })).json() as T,
    post: async <T>(path: string, body: object, signal?: AbortSignal) =>
      (await posted(path, body, signal)).json() as T,
    async *stream(path, body, signal) {
      const { body: bytes } = await posted(path, body, signal);
      if (!bytes) throw unreachable(url, "an empty answer");
      yield* events(bytes, url, signal);
    },
  };
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html, the part that one JSON text per event needs. */
async function* events(bytes: ReadableStream<Uint8Array>, url: string, signal?: AbortSignal) {
  try {
    for await (const line of lines(bytes)) {
      if (!line.startsWith("data:")) continue;
      const text = line.slice("data:".length).trim();
      if (text === "[DONE]") return;
      const event: Record<string, unknown> = JSON.parse(text);
      if (event.error) throw problemOf(event.error, undefined);
      yield event;
    }
  } catch (error) {
    throw error instanceof Problem || signal?.aborted ? error : unreachable(url, error);
  }
  throw unreachable(url, "the answer ended in the middle");
}

async function* lines(bytes: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of bytes) {
    const whole = (rest + decoder.decode(chunk, { stream: true })).split(/\r?\n/);
    rest = whole.pop() ?? "";
    yield* whole;
  }
}

const unreachable = (url: string, error: unknown): Problem => {
  // Bun adds advice for who wrote the program.
  const [why] = (error instanceof Error ? error.message : String(error)).split(". For more information");
  const remedy = "see whether it still runs: exo ps";
  return new CommandProblem(EXIT.noDaemon, `the exo at ${url} does not answer (${why})`, {
    remedy,
    cause: error,
  });
};

async function problemFrom(response: Response): Promise<Problem> {
  const text = await response.text();
  try {
    return problemOf(JSON.parse(text).error, response.status);
  } catch {
    return new Problem("internal", `the server answered ${response.status}: ${text.slice(0, 200)}`);
  }
}

/** By the codes that the gateway gives; where there is none, by status. */
const KINDS: Readonly<Record<string, ProblemKind>> = {
  invalid_value: "invalid",
  context_length_exceeded: "contextLength",
  model_not_found: "notFound",
  invalid_api_key: "unauthorised",
  forbidden: "forbidden",
  request_too_large: "tooLarge",
  rate_limit_exceeded: "overloaded",
  unavailable: "unavailable",
  no_capacity: "doesNotFit",
  network: "network",
  cancelled: "cancelled",
};

const STATUSES: Readonly<Record<number, ProblemKind>> = {
  400: "invalid",
  401: "unauthorised",
  403: "forbidden",
  404: "notFound",
  413: "tooLarge",
  429: "overloaded",
  503: "unavailable",
};

function problemOf(error: unknown, status: number | undefined): Problem {
  const { message, code, param } = error as { message?: unknown; code?: unknown; param?: unknown };
  const kind = KINDS[String(code)] ?? (status === undefined ? undefined : STATUSES[status]) ?? "internal";
  const remedy =
    kind === "unauthorised"
      ? { remedy: "set EXO_API_KEY to a key of that server; `exo key create` there makes one" }
      : {};
  const about = typeof param === "string" ? { param } : {};
  return new Problem(kind, String(message ?? "the server gave no reason"), { ...remedy, ...about });
}
