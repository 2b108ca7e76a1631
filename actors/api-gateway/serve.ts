/** The HTTP server: addresses, guards and error answers around the dialects. */
import { Elysia } from "elysia";
import { Problem } from "#protocol/problem";
import { answerIn, json, toProblem } from "./answer.ts";
import type { Dialect, Failure } from "./dialects/dialect.ts";
import { Fault } from "./dialects/fault.ts";
import { openaiChat } from "./dialects/openai-chat.ts";
import { openaiCompletions } from "./dialects/openai-completions.ts";
import { openaiFailure } from "./dialects/openai-failure.ts";
import { type GuardOptions, guard } from "./guard.ts";
import type { GatewayPorts } from "./ports.ts";
import { readJson } from "./read-json.ts";
import { clusterRoutes } from "./routes/cluster.ts";
import { healthRoutes } from "./routes/health.ts";
import { heldRoutes } from "./routes/held.ts";
import { modelRoutes } from "./routes/models.ts";
import { pairingRoutes } from "./routes/pairing.ts";
import type { Route } from "./routes/route.ts";

/** Images in a body are base64; a conversation with some of them fits. */
const BODY_BYTES_MAX = 64 * 1024 * 1024;
/** A client that sends nothing for so long in the middle of a request is gone. */
const IDLE_SECONDS = 30;
/** How long answers in flight may go on once the server is told to stop. */
const DRAIN_MS = 30_000;

export interface ServeOptions extends Omit<GuardOptions, "nodeName"> {
  /** After decoding. */
  readonly bodyBytesMax?: number;
}

export interface GatewayOptions extends ServeOptions {
  /** 0 takes a free one. */
  readonly port: number;
}

export interface Gateway {
  readonly url: string;
  readonly port: number;
  /** Refuses new requests, lets those in flight end for a moment, then cuts them. */
  stop(): Promise<void>;
}

/** Listens. Throws a Problem when the address cannot be had. */
export function createGateway(ports: GatewayPorts, options: GatewayOptions): Gateway {
  const { host, port } = options;
  const { handle } = app(ports, options, (request) => server.timeout(request, 0));
  const listen = () =>
    Bun.serve({
      hostname: host,
      port,
      idleTimeout: IDLE_SECONDS,
      maxRequestBodySize: Number.MAX_SAFE_INTEGER, // counted while reading, to answer in the client's words
      development: false,
      reusePort: false, // else two servers would share a port and split its requests: the default outside development
      fetch: (request) => handle(request),
    });
  const server = orExplain(listen, host, port);
  return {
    url: `http://${shownHost(host)}:${server.port}`,
    port: server.port ?? port,
    async stop() {
      const cancelTimer = ports.after(DRAIN_MS, () => void server.stop(true));
      await server.stop();
      cancelTimer();
    },
  };
}

function orExplain<Server>(listen: () => Server, host: string, port: number): Server {
  try {
    return listen();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "EADDRINUSE") {
      throw new Problem("unavailable", `port ${port} of ${host} is in use`, {
        param: "port",
        remedy: "choose another with --port, or stop what listens there",
        cause: error,
      });
    }
    const why = error instanceof Error ? error.message : String(error);
    throw new Problem("invalid", `cannot listen on ${host} port ${port}: ${why}`, {
      param: "bind",
      cause: error,
    });
  }
}

/** An address that a client on this machine can use. */
function shownHost(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}

export interface App {
  /** Never rejects: every request has an answer. */
  handle(request: Request): Promise<Response>;
}

/** `keepOpen` is called once a request has been read: from then on its connection may be silent for long. */
export function app(
  ports: GatewayPorts,
  options: ServeOptions,
  keepOpen: (request: Request) => void = () => {},
): App {
  const doors = guard({ ...options, nodeName: ports.nodeName });
  const router = routerOf(ports, async (request) => {
    const body = await readJson(request, options.bodyBytesMax ?? BODY_BYTES_MAX);
    keepOpen(request);
    return body;
  });

  async function answered(request: Request): Promise<Response> {
    try {
      doors.check(request, pathOf(request));
      if (request.method === "OPTIONS") return new Response(null, { status: 204 });
      if (request.method !== "HEAD") return await router(request);
      const { status, headers } = await router(new Request(request.url, { headers: request.headers }));
      return new Response(null, { status, headers });
    } catch (error) {
      return failed(toProblem(error, ports));
    }
  }

  const node = encodeURIComponent(ports.nodeName.toWellFormed());
  return {
    async handle(request) {
      const response = await answered(request);
      response.headers.set("x-request-id", ports.newId());
      response.headers.set("x-exo-node", node);
      for (const [name, value] of Object.entries(doors.corsHeaders(request)))
        response.headers.set(name, value);
      return response;
    },
  };
}

function failed(problem: Problem, failure: (problem: Problem) => Failure = openaiFailure): Response {
  const { status, headers, body } = failure(problem);
  return json(body, status, headers);
}

/** All addresses; every answer of it is an answer to the client, also the failures. */
function routerOf(ports: GatewayPorts, read: (request: Request) => Promise<unknown>) {
  const methods = new Map<string, string[]>();
  const router = new Elysia().onError(({ error, code, request }) =>
    failed(code === "NOT_FOUND" ? missing(request, methods) : toProblem(error, ports)),
  );

  function mount(method: Route["method"], path: string, answer: Answer, failure = openaiFailure): void {
    for (const at of path.startsWith("/v1/") ? [path, `/v1${path}`] : [path]) {
      methods.set(at, [...(methods.get(at) ?? []), ...(method === "GET" ? ["GET", "HEAD"] : [method])]);
      const caught = (request: Request) =>
        answer(request).catch((error: unknown) => failed(toProblem(error, ports), failure));
      router.route(method, at, ({ request }) => caught(request), { parse: "none" });
    }
  }

  function mountDialect<Body>(dialect: Dialect<Body>): void {
    mount("POST", dialect.path, (request) => answerIn(dialect, { ports, request, read }), dialect.failure);
  }

  mountDialect(openaiChat);
  mountDialect(openaiCompletions);
  for (const { method, path, handle } of [
    ...healthRoutes(ports),
    ...modelRoutes(ports),
    ...heldRoutes(ports),
    ...clusterRoutes(ports),
    ...pairingRoutes(ports),
  ]) {
    mount(method, path, async (request) => {
      const answer = await handle({ rest: restOf(request, path), json: () => read(request) });
      return answer instanceof Response ? answer : json(answer);
    });
  }
  return (request: Request) => router.fetch(request);
}

type Answer = (request: Request) => Promise<Response>;

/** An unknown address, or a known one asked in the wrong way. */
function missing(request: Request, methods: ReadonlyMap<string, readonly string[]>): Fault {
  const path = pathOf(request).replace(/(.)\/$/, "$1");
  const known = [...methods].find(
    ([at]) => at === path || (at.endsWith("/*") && path.startsWith(at.slice(0, -1))),
  );
  if (!known) {
    const message = `nothing answers to ${request.method} ${path.slice(0, 200)}`;
    return new Fault("unknown_url", message, { remedy: "the API is under /v1" });
  }
  const allow = [...known[1], "OPTIONS"].join(", ");
  return new Fault(
    "method_not_allowed",
    `${path.slice(0, 200)} does not take ${request.method}; it takes ${allow}`,
    {
      headers: { allow },
    },
  );
}

/** As sent, without the query. */
function pathOf({ url }: Request): string {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  const path = start < 0 ? "/" : url.slice(start);
  return path.split(/[?#]/, 1)[0] ?? "/";
}

/** What `*` stands for; a model's slash may come escaped or not. */
function restOf(request: Request, path: string): string {
  if (!path.endsWith("*")) return "";
  const whole = pathOf(request).replace(/^\/v1(?=\/v1\/)/, "");
  const rest = whole.slice(path.length - 1).replace(/\/$/, "");
  try {
    return decodeURIComponent(rest);
  } catch {
    return rest;
  }
}
