/** The HTTP server: addresses, guards and error answers around the dialects. */
import { Elysia } from "elysia";
import { answerIn, json, toProblem } from "./answer.ts";
import { type Access, type AuthOptions, auth } from "./auth.ts";
import type { Dialect, Failure } from "./dialects/dialect.ts";
import { failureAt } from "./dialects/failures.ts";
import { Fault } from "./dialects/fault.ts";
import { openaiChat } from "./dialects/openai-chat.ts";
import { openaiCompletions } from "./dialects/openai-completions.ts";
import { Feed } from "./feed/feed.ts";
import { type GuardOptions, guard } from "./guard.ts";
import { BODY_BYTES_MAX, COMMAND_BYTES_MAX, DRAIN_MS } from "./limits.ts";
import { type Listening, listen } from "./listen.ts";
import type { GatewayPorts } from "./ports.ts";
import { readJson } from "./read-json.ts";
import { clusterRoutes } from "./routes/cluster.ts";
import { eventRoutes } from "./routes/events.ts";
import { healthRoutes } from "./routes/health.ts";
import { heldRoutes } from "./routes/held.ts";
import { modelRoutes } from "./routes/models.ts";
import { nodeRoutes } from "./routes/nodes.ts";
import { pairingRoutes } from "./routes/pairing.ts";
import type { Route } from "./routes/route.ts";
import { setSecurityHeaders } from "./security-headers.ts";
import { type Connection, type Visit, visits } from "./visit.ts";

export interface ServeOptions extends Omit<GuardOptions, "nodeName" | "port">, AuthOptions {
  /** After decoding. */
  readonly bodyBytesMax?: number;
  /** How long the reader of a stream may take nothing. */
  readonly stallSeconds?: number;
}

export interface GatewayOptions extends ServeOptions, Listening {}

export interface Gateway {
  readonly url: string;
  readonly port: number;
  /** Refuses new requests, lets those in flight end for a moment, then cuts them. */
  stop(): Promise<void>;
}

/** Listens. Throws a Problem when the address cannot be had. */
export function createGateway(ports: GatewayPorts, options: GatewayOptions): Gateway {
  let port: number | undefined;
  const { handle, close } = app(ports, options, () => port);
  const listener = listen(options, handle);
  port = listener.port;
  return {
    url: listener.url,
    port,
    async stop() {
      close();
      const cancelTimer = ports.after(DRAIN_MS, () => void listener.stop(true));
      await listener.stop(false);
      cancelTimer();
    },
  };
}

export interface App {
  /** Never rejects: every request has an answer. Without a connection it comes from this process. */
  handle(request: Request, connection?: Connection): Promise<Response>;
  /** Ends the streams that would go on for ever. */
  close(): void;
}

const WITHIN: Connection = { idle() {} };

/** `port` is where it listens, once it does. */
export function app(
  ports: GatewayPorts,
  options: ServeOptions,
  port: () => number | undefined = () => undefined,
  routes?: readonly Route[],
): App {
  const feed = new Feed(ports);
  const doors = guard({ ...options, nodeName: ports.nodeName, port });
  const arrive = visits(auth(options, ports.nowMs), ports, options.stallSeconds);
  const router = routerOf(ports, routes ?? routesOf(ports, feed), options.bodyBytesMax ?? BODY_BYTES_MAX);
  const node = encodeURIComponent(ports.nodeName.toWellFormed());

  async function answered(request: Request, visit: Visit): Promise<Response> {
    const path = pathOf(request);
    try {
      doors.check(request, path);
      if (request.method === "OPTIONS") return new Response(null, { status: 204 });
      if (request.method !== "HEAD") return await router(request, visit);
      const whole = await router(new Request(request.url, { headers: request.headers }), visit);
      await whole.body?.cancel();
      return new Response(null, whole);
    } catch (error) {
      return failed(failureAt(path)(toProblem(error, ports), visit.id));
    }
  }

  async function visited(request: Request, connection: Connection): Promise<[Response, string]> {
    try {
      const visit = arrive(request, connection);
      const response = await answered(request, visit);
      visit.answered();
      return [response, visit.id];
    } catch (error) {
      const id = ports.newId();
      return [failed(failureAt(pathOf(request))(toProblem(error, ports), id)), id];
    }
  }

  return {
    async handle(request, connection = WITHIN) {
      const [response, id] = await visited(request, connection);
      const { headers } = response;
      headers.set("x-request-id", id);
      headers.set("x-exo-node", node);
      setSecurityHeaders(headers);
      for (const [name, value] of Object.entries(doors.corsHeaders(request))) headers.set(name, value);
      return response;
    },
    close: () => feed.close("the server ends"),
  };
}

const failed = ({ status, headers, body }: Failure): Response => json(body, status, headers);

/** All addresses; every answer of it is an answer to the client, also the failures. */
function routerOf(ports: GatewayPorts, routes: readonly Route[], bodyBytesMax: number) {
  const methods = new Map<string, string[]>();
  const arrived = new WeakMap<Request, Visit>();
  const visitOf = (request: Request): Visit => arrived.get(request) ?? lost();
  const answer = (error: unknown, request: Request): Response =>
    failed(failureAt(pathOf(request))(toProblem(error, ports), visitOf(request).id));
  const router = new Elysia().onError(({ error, code, request }) =>
    answer(code === "NOT_FOUND" ? unknownTo(request, visitOf(request), methods) : error, request),
  );

  function mount(method: Route["method"], path: string, access: Access, handle: Handle): void {
    if (access === undefined) throw new Error(`${method} ${path} does not say who may ask`);
    for (const at of path.startsWith("/v1/") ? [path, `/v1${path}`] : [path]) {
      methods.set(at, [...(methods.get(at) ?? []), ...(method === "GET" ? ["GET", "HEAD"] : [method])]);
      const handled = async (request: Request) => {
        const visit = visitOf(request);
        visit.admit(access);
        return await handle(request, visit);
      };
      const caught = (request: Request) => handled(request).catch((error) => answer(error, request));
      router.route(method, at, ({ request }) => caught(request), { parse: "none" });
    }
  }

  const reader = (request: Request, bytesMax: number) => () =>
    readJson(request, { bytesMax: Math.min(bytesMax, bodyBytesMax), after: ports.after });

  function mountDialect<Body>(dialect: Dialect<Body>): void {
    mount("POST", dialect.path, "infer", (request, visit) =>
      answerIn(dialect, { ports, visit, read: reader(request, BODY_BYTES_MAX) }),
    );
  }

  mountDialect(openaiChat);
  mountDialect(openaiCompletions);
  for (const { method, path, access, handle } of routes) {
    mount(method, path, access, async (request, visit) => {
      const asked = { rest: restOf(request, path), headers: request.headers, visit };
      const answer = await handle({ ...asked, json: reader(request, COMMAND_BYTES_MAX) });
      return answer instanceof Response ? answer : json(answer);
    });
  }
  return (request: Request, visit: Visit): Promise<Response> => {
    arrived.set(request, visit);
    return Promise.resolve(router.fetch(request));
  };
}

/** The addresses beside the dialects. */
export const routesOf = (ports: GatewayPorts, feed = new Feed(ports)): readonly Route[] => [
  ...healthRoutes(ports),
  ...modelRoutes(ports),
  ...heldRoutes(ports),
  ...clusterRoutes(ports),
  ...pairingRoutes(ports),
  ...nodeRoutes(ports),
  ...eventRoutes(ports, feed),
];

type Handle = (request: Request, visit: Visit) => Promise<Response>;

const lost = (): never => {
  throw new Error("a request without a visit");
};

/** Who may ask nothing is not told what there is. */
function unknownTo(request: Request, visit: Visit, methods: ReadonlyMap<string, readonly string[]>): unknown {
  try {
    visit.admit("any");
    return missing(request, methods);
  } catch (error) {
    return error;
  }
}

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
