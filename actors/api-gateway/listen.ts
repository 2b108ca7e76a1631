/** Sockets for the gateway, at named addresses only: without a name Bun listens on every interface. */
import { Problem } from "#protocol/problem";
import { IDLE_SECONDS } from "./limits.ts";
import type { Connection } from "./visit.ts";

export interface Listening {
  /** 0 takes a free one. */
  readonly port: number;
  readonly host: string;
  /** In PEM; without it, plain HTTP. */
  readonly tls?: { readonly certificate: string; readonly key: string };
}

export type Handle = (request: Request, connection: Connection) => Promise<Response>;

export interface Listener {
  readonly port: number;
  readonly url: string;
  /** `now` cuts answers in flight; otherwise they end first. */
  stop(now: boolean): Promise<void>;
}

/** Throws a Problem when the address cannot be had. `localhost` is both loopback addresses, where the machine has both. */
export function listen({ host, port, tls }: Listening, handle: Handle): Listener {
  const at = (hostname: string, wanted: number) =>
    serveAt({ host: hostname, port: wanted, ...(tls && { tls }) }, handle);
  const first = at(host === "localhost" ? "127.0.0.1" : host, port);
  const chosen = first.port ?? port;
  const servers = [first];
  if (host === "localhost") {
    const second = also(
      () => at("::1", chosen),
      () => void first.stop(true),
    );
    if (second) servers.push(second);
  }
  return {
    port: chosen,
    url: `${tls ? "https" : "http"}://${shownHost(host)}:${chosen}`,
    stop: async (now) => void (await Promise.all(servers.map((server) => server.stop(now)))),
  };
}

/** Undefined on a machine without IPv6; who gives the port of the other family to somebody else would answer in our place. */
function also<Server>(serve: () => Server, giveUp: () => void): Server | undefined {
  try {
    return serve();
  } catch (error) {
    if (!(error instanceof Problem && error.param === "port")) return undefined;
    giveUp();
    throw error;
  }
}

function serveAt({ host, port, tls }: Listening, handle: Handle) {
  return orExplain(
    () =>
      Bun.serve({
        hostname: host,
        port,
        ...(tls && { tls: { cert: tls.certificate, key: tls.key } }),
        idleTimeout: IDLE_SECONDS,
        maxRequestBodySize: Number.MAX_SAFE_INTEGER, // counted while reading, to answer in the client's words
        development: false,
        reusePort: false, // else two servers would share a port and split its requests: the default outside development
        fetch: (request, server) =>
          handle(request, {
            address: server.requestIP(request)?.address,
            idle: (seconds) => server.timeout(request, seconds),
          }),
      }),
    host,
    port,
  );
}

function orExplain<Server>(serve: () => Server, host: string, port: number): Server {
  try {
    return serve();
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
  if (host === "0.0.0.0" || host === "::" || host === "localhost") return "127.0.0.1";
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}
