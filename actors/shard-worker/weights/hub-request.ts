/**
 * One HTTP request to a model hub: redirects followed by hand so that the token stays with the hub, silence and trouble
 * retried with growing waits, 429 obeyed. API: https://huggingface.co/docs/hub/api and .../hub/rate-limits.
 */
import type { Clock } from "#actors/runtime/clock";
import { Problem } from "#protocol/problem";
import { type HubSubject, refusal } from "./hub-refusal.ts";

/** The part of `fetch` that is used, so that a test or a proxy can stand in. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface HubSettings {
  /** Origin (and path prefix, if any) of the hub; HF_ENDPOINT. */
  readonly endpoint: string;
  /** HF_TOKEN. Sent to the endpoint's own origin only. */
  readonly token?: string;
  /** HF_HUB_OFFLINE: nothing is asked of the hub. */
  readonly offline: boolean;
}

export interface HubPorts {
  readonly fetch: Fetch;
  readonly clock: Clock;
}

/** Says that a request is tried again, so that a user who waits knows why. */
export type OnRetry = (retry: {
  readonly reason: string;
  readonly waitMs: number;
  readonly attempt: number;
}) => void;

export interface HubRequest {
  readonly url: string;
  readonly subject: HubSubject;
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: "GET" | "HEAD";
  readonly signal?: AbortSignal;
  readonly onRetry?: OnRetry;
}

/** An answer of 2xx or 416, with what the hub itself said of the file before it sent us to a store elsewhere. */
export interface HubAnswer {
  readonly response: Response;
  readonly linked: { readonly etag?: string; readonly bytes?: number };
  /** Ends the connection, whatever is left of the body. */
  close(): void;
}

/** Attempts without any progress before a user is told: with the waits below about 15 s of trouble. */
export const MAX_ATTEMPTS = 6;
/** Waits between attempts double from here up to the next figure, so that a hub in trouble is not pressed. */
const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 30_000;
/** The hub counts requests in windows of 300 s: no honest wait is longer. */
const MAX_RATE_WAIT_MS = 300_000;
/** A connection that says nothing for so long is taken for dead. */
export const STALL_MS = 30_000;
/** The hub needs one hop to its store and one for a renamed repository; more is a loop. */
const MAX_REDIRECTS = 5;

/** Trouble that another attempt may cure; never leaves this room. */
export class Passing extends Error {
  override readonly name = "Passing";
  readonly waitMs: number | undefined;
  constructor(message: string, waitMs?: number) {
    super(message);
    this.waitMs = waitMs;
  }
}

/** Asks until an answer comes; throws Problem (network, unauthorised, notFound, cancelled). */
export async function ask(hub: HubSettings, ports: HubPorts, request: HubRequest): Promise<HubAnswer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await askOnce(hub, ports, request);
    } catch (error) {
      if (!(error instanceof Passing)) throw error;
      await pauseOrGiveUp(error, attempt, ports.clock, request);
    }
  }
}

/** Waits before attempt + 1, or throws the Problem that ends it. */
export async function pauseOrGiveUp(
  error: Passing,
  attempt: number,
  clock: Clock,
  request: HubRequest,
): Promise<void> {
  const { url, signal, onRetry } = request;
  if (attempt >= MAX_ATTEMPTS) {
    throw new Problem(
      "network",
      `${new URL(url).host} could not be used: ${error.message} (${attempt} attempts)`,
      {
        remedy: "Check the connection and run the same command again: it goes on where it stopped.",
        cause: error,
      },
    );
  }
  const waitMs = error.waitMs ?? Math.min(FIRST_WAIT_MS * 2 ** (attempt - 1), MAX_WAIT_MS);
  onRetry?.({ reason: error.message, waitMs, attempt });
  await pause(clock, waitMs, signal);
}

/** Waits `ms`, or throws Problem cancelled as soon as the signal says so. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(cancelled());
    const onAbort = () => {
      stop();
      reject(cancelled());
    };
    const stop = clock.after(ms, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

export const cancelled = (): Problem =>
  new Problem("cancelled", "the download was stopped", {
    remedy: "The same command goes on where it stopped.",
  });

/** One attempt: throws Passing where another may help. */
export async function askOnce(hub: HubSettings, ports: HubPorts, request: HubRequest): Promise<HubAnswer> {
  if (request.signal?.aborted) throw cancelled();
  const abort = new AbortController();
  const onAbort = () => abort.abort();
  request.signal?.addEventListener("abort", onAbort, { once: true });
  const close = () => {
    request.signal?.removeEventListener("abort", onAbort);
    abort.abort();
  };
  let silent = false;
  const stopWatch = ports.clock.after(STALL_MS, () => {
    silent = true;
    close();
  });
  try {
    const answer = await follow(hub, ports, request, abort.signal);
    await refuseOrRetry(answer.response, request, hub, ports.clock);
    return { ...answer, close };
  } catch (error) {
    close();
    if (request.signal?.aborted) throw cancelled();
    if (error instanceof Problem || error instanceof Passing) throw error;
    throw new Passing(silent ? `no answer within ${STALL_MS / 1000} s` : reasonOf(error));
  } finally {
    stopWatch();
  }
}

async function follow(
  hub: HubSettings,
  ports: HubPorts,
  request: HubRequest,
  signal: AbortSignal,
): Promise<Omit<HubAnswer, "close">> {
  let url = new URL(request.url);
  let linked: { etag?: string; bytes?: number } = {};
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const response = await ports.fetch(url.href, {
      method: request.method ?? "GET",
      redirect: "manual",
      signal,
      headers: {
        // Compressed bodies would make lengths and ranges count something else than the file.
        "accept-encoding": "identity",
        "user-agent": "exo",
        ...request.headers,
        ...(hub.token !== undefined && url.origin === new URL(hub.endpoint).origin
          ? { authorization: `Bearer ${hub.token}` }
          : {}),
      },
    });
    linked = { ...linkedFacts(response.headers), ...linked };
    const location = response.headers.get("location");
    if (response.status < 300 || response.status > 399 || location === null) return { response, linked };
    await response.body?.cancel();
    url = nextHop(url, location);
  }
  throw new Problem("network", `${request.url} redirects more than ${MAX_REDIRECTS} times`, {
    remedy: "Check HF_ENDPOINT.",
  });
}

function nextHop(from: URL, location: string): URL {
  const to = URL.parse(location, from.href);
  const allowed =
    to !== null && (to.protocol === "https:" || (to.protocol === "http:" && from.protocol === "http:"));
  if (allowed) return to;
  throw new Problem(
    "network",
    `${from.host} redirects to ${JSON.stringify(location.slice(0, 200))}, which is not safe`,
    {
      remedy: "Check HF_ENDPOINT and any proxy between.",
    },
  );
}

/** `X-Linked-*` describe the file itself where the answer only points to it. */
function linkedFacts(headers: Headers): { etag?: string; bytes?: number } {
  const etag = headers.get("x-linked-etag");
  const bytes = Number(headers.get("x-linked-size") ?? Number.NaN);
  return {
    ...(etag !== null && { etag: etag.replace(/^W\//, "").replaceAll('"', "") }),
    ...(Number.isSafeInteger(bytes) && { bytes }),
  };
}

async function refuseOrRetry(
  response: Response,
  request: HubRequest,
  hub: HubSettings,
  clock: Clock,
): Promise<void> {
  const { status, headers } = response;
  if ((status >= 200 && status < 300) || status === 416) return;
  await response.body?.cancel();
  if (status === 429) throw new Passing("the hub asks to slow down (429)", rateWaitMs(headers, clock));
  if (status === 408 || status >= 500)
    throw new Passing(`the hub answered ${status}`, retryAfterMs(headers, clock));
  throw refusal(response, request.subject, hub);
}

/** `RateLimit: "resolvers";r=0;t=55` counts seconds to the next window; Retry-After is the older way to say it. */
function rateWaitMs(headers: Headers, clock: Clock): number | undefined {
  const seconds = /;\s*t=(\d+)/.exec(headers.get("ratelimit") ?? "")?.[1];
  return retryAfterMs(headers, clock) ?? (seconds === undefined ? undefined : capped(Number(seconds)));
}

/** RFC 9110 10.2.3: seconds, or a date. */
function retryAfterMs(headers: Headers, clock: Clock): number | undefined {
  const value = headers.get("retry-after");
  if (value === null) return undefined;
  const seconds = /^\d+$/.test(value) ? Number(value) : Date.parse(value) / 1000 - clock.epochSeconds();
  return Number.isFinite(seconds) ? capped(seconds) : undefined;
}

const capped = (seconds: number): number => Math.min(Math.max(seconds, 0) * 1000, MAX_RATE_WAIT_MS);

/** What a connection failed of, by the code that the system or the resolver gives it: getaddrinfo(3), connect(2). */
const FAILURES: ReadonlyMap<string, string> = new Map([
  ["EAI_AGAIN", "nobody here could say where that name is"],
  ["ENOTFOUND", "nobody knows that name"],
  ["ECONNREFUSED", "it takes no connection"],
  ["ECONNRESET", "it ended the connection"],
  ["EHOSTUNREACH", "no way leads there"],
  ["ENETUNREACH", "no way leads there"],
  ["ETIMEDOUT", "it did not take the connection in time"],
]);

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error && typeof error.code === "string" ? error.code : error.name;
  const known = FAILURES.get(code);
  if (known !== undefined) return `${known} (${code})`;
  return `${code}: ${error.message}`.replace(/\s*For more information, pass `verbose.*$/s, "").slice(0, 200);
}
