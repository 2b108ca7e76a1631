/** Who may ask: the Host check against DNS rebinding, browsers' origins, and the API key. */
import { timingSafeEqual } from "node:crypto";
import { Problem } from "#protocol/problem";
import { Fault } from "./dialects/fault.ts";

export interface GuardOptions {
  /** Where the server listens. */
  readonly host: string;
  readonly apiKey?: string;
  /** Origins allowed beside those of this machine: `https://chat.example`, a `*` for any port or the whole end. */
  readonly origins?: readonly string[];
  /** This machine's own name. */
  readonly nodeName: string;
}

export interface Guard {
  /** Throws a Problem when the request may not go on. */
  check(request: Request, path: string): void;
  /** Headers that let a browser at an allowed origin read the answer. */
  corsHeaders(request: Request): Readonly<Record<string, string>>;
}

const ORIGINS = [
  "http://localhost",
  "https://localhost",
  "http://127.0.0.1",
  "https://127.0.0.1",
  "http://[::1]",
  "https://[::1]",
];
const SCHEMES = ["app:", "file:", "vscode-webview:", "tauri:"];
const OPEN_PATHS = new Set(["/", "/health", "/healthz"]);
const PREFLIGHT_SECONDS = "600";

export function guard({ host, apiKey, origins = [], nodeName }: GuardOptions): Guard {
  const names = new Set(["localhost", nodeName.toLowerCase(), `${nodeName.toLowerCase()}.local`]);
  const loopbackOnly = isLoopback(host) || host === "localhost";
  const allowed = (origin: string) =>
    isLocalOrigin(origin) || origins.some((pattern) => matches(pattern, origin));

  return {
    check(request, path) {
      if (loopbackOnly) checkHost(request, names);
      const origin = request.headers.get("origin");
      if (origin !== null && !safe(request.method) && !isOwn(origin, request) && !allowed(origin)) {
        const remedy = "name it in EXO_ORIGINS to allow it";
        throw new Fault("forbidden_origin", `web pages of ${origin.slice(0, 200)} may not use this server`, {
          remedy,
        });
      }
      if (apiKey !== undefined && !OPEN_PATHS.has(path) && request.method !== "OPTIONS")
        checkKey(request, apiKey);
    },
    corsHeaders(request) {
      const origin = request.headers.get("origin");
      if (origin === null || !allowed(origin)) return {};
      const asked = request.headers.get("access-control-request-headers");
      return {
        "access-control-allow-origin": origin,
        vary: "origin",
        "access-control-expose-headers": "x-request-id, request-id, retry-after",
        ...(request.method === "OPTIONS" && {
          "access-control-allow-methods": "GET, HEAD, POST, DELETE, OPTIONS",
          "access-control-allow-headers": asked ?? "authorization, content-type",
          "access-control-max-age": PREFLIGHT_SECONDS,
        }),
      };
    },
  };
}

/** A page of another site can send these anyway, and cannot read the answer. */
const safe = (method: string): boolean => method === "GET" || method === "HEAD" || method === "OPTIONS";

/** Any site may point a name of its own at 127.0.0.1; the Host header then still bears that name. */
function checkHost(request: Request, names: ReadonlySet<string>): void {
  const host = request.headers.get("host");
  if (host === null) return; // no browser leaves it out
  const name = host.replace(/:\d*$/, "").toLowerCase();
  if (names.has(name) || name.endsWith(".localhost") || isLoopback(name)) return;
  throw new Fault(
    "forbidden_host",
    `this server listens on this machine only and does not answer to "${host.slice(0, 200)}"`,
    {
      remedy: "use localhost",
    },
  );
}

const isLoopback = (name: string): boolean =>
  /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name) || name === "[::1]" || name === "::1";

const isLocalOrigin = (origin: string): boolean =>
  SCHEMES.some((scheme) => origin.startsWith(`${scheme}//`)) ||
  ORIGINS.some(
    (known) =>
      origin === known || (origin.startsWith(`${known}:`) && /^\d+$/.test(origin.slice(known.length + 1))),
  );

const isOwn = (origin: string, request: Request): boolean => {
  const host = request.headers.get("host");
  return host !== null && (origin === `http://${host}` || origin === `https://${host}`);
};

const matches = (pattern: string, origin: string): boolean =>
  pattern === origin || (pattern.endsWith("*") && origin.startsWith(pattern.slice(0, -1)));

function checkKey(request: Request, apiKey: string): void {
  const bearer = request.headers.get("authorization")?.match(/^bearer\s+(.*)$/i)?.[1];
  const given = bearer ?? request.headers.get("x-api-key");
  if (given !== null && given !== undefined && equal(given.trim(), apiKey)) return;
  throw new Problem("unauthorised", given ? "the API key is wrong" : "an API key is needed", {
    remedy: "send it as Authorization: Bearer KEY",
  });
}

/** In the same time wherever they differ. */
function equal(given: string, key: string): boolean {
  const [a, b] = [given, key].map((text) => new Bun.CryptoHasher("sha256").update(text).digest());
  return a !== undefined && b !== undefined && timingSafeEqual(a, b);
}
