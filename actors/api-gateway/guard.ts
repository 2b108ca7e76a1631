/** Whose request it is, as far as a browser tells: the Host check against DNS rebinding, and the pages of other sites. */
import { isOwnMachine } from "./addresses.ts";
import { Fault } from "./dialects/fault.ts";

export interface GuardOptions {
  /** Where the server listens. */
  readonly host: string;
  /** Names, with or without a port, that it answers to beside its own: `exo.example`, `exo.example:8443`. */
  readonly hosts?: readonly string[];
  /** Web pages that may call it: `https://chat.example`, a `*` for any port or the whole end. None by default. */
  readonly origins?: readonly string[];
  /** This machine's own name. */
  readonly nodeName: string;
  /** The port it listens on; undefined: not listening, and any port is taken for its own. */
  readonly port: () => number | undefined;
  /** Whether it speaks HTTPS. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** The addresses of this machine in the network, as they are now. */
  readonly addresses?: () => readonly string[];
}

export interface Guard {
  /** Throws a Fault when the request may not go on. */
  check(request: Request, path: string): void;
  /** Headers that let the page of a named origin read the answer. */
  corsHeaders(request: Request): Readonly<Record<string, string>>;
}

/** Browsers ask again after so long. */
const PREFLIGHT_SECONDS = "600";
/** Characters of a client's header that an answer repeats. */
const SHOWN_CHARS = 200;

export function guard(options: GuardOptions): Guard {
  const { origins = [] } = options;
  const isHost = hostList(options);
  const named = (origin: string) => origins.some((pattern) => matches(pattern, origin));

  return {
    check(request, path) {
      const host = request.headers.get("host");
      if (host !== null && !isHost(host)) throw foreignHost(host); // no browser leaves it out
      checkSite(request, path, named);
      checkMediaType(request);
    },
    corsHeaders(request) {
      const origin = request.headers.get("origin");
      if (origin === null || !named(origin)) return {};
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

/**
 * Any site may point a name of its own at this machine; the Host header then still bears that name. So only exact names
 * pass: those of loopback, this machine's name and, where it listens on them, its addresses, each with the very port, and
 * what was named.
 */
function hostList({
  host,
  hosts = [],
  nodeName,
  port,
  tls,
  addresses,
}: GuardOptions): (given: string) => boolean {
  const name = nodeName.toLowerCase();
  const label = name.split(".", 1)[0] ?? name;
  const own = new Set(["localhost", "127.0.0.1", "[::1]", name, label, `${label}.local`]);
  if (!isEveryAddress(host)) own.add(authority(host));
  const configured = new Set(hosts.map((each) => each.toLowerCase()));
  const isAddress = (given: string) =>
    !isOwnMachine(host) && (addresses?.() ?? []).some((address) => authority(address) === given);
  return (given) => {
    if (!/^[\x21-\x7e]+$/.test(given)) return false;
    const [, bare, sentPort] = /^(.*?)(?::(\d{1,5}))?$/.exec(given.toLowerCase()) ?? [];
    if (bare === undefined) return false;
    if (configured.has(bare) || configured.has(given.toLowerCase())) return true;
    const listening = port();
    const isPort =
      listening === undefined || Number(sentPort ?? (tls ? HTTPS_PORT : HTTP_PORT)) === listening;
    return isPort && (own.has(bare) || isAddress(bare));
  };
}

const isEveryAddress = (host: string): boolean => host === "0.0.0.0" || host === "::" || host === "[::]";

/** What a client leaves out. */
const [HTTP_PORT, HTTPS_PORT] = [80, 443];

/** An address as it stands in a URL. */
const authority = (address: string): string =>
  address.includes(":") && !address.startsWith("[") ? `[${address.toLowerCase()}]` : address.toLowerCase();

/**
 * Pages of other sites are refused whatever they ask, and reading as well as writing: a browser says whose page it is in
 * Origin, or, where it leaves that out, in Sec-Fetch-Site (https://www.w3.org/TR/fetch-metadata/). A link to the front page
 * may be followed from anywhere.
 */
function checkSite({ headers, method }: Request, path: string, named: (origin: string) => boolean): void {
  const origin = headers.get("origin");
  if (origin !== null) {
    if (isOwn(origin, headers.get("host")) || named(origin)) return;
    throw foreignOrigin(origin);
  }
  const site = headers.get("sec-fetch-site");
  if (site === null || site === "same-origin" || site === "none") return;
  const isLink = method === "GET" && path === "/" && headers.get("sec-fetch-mode") === "navigate";
  if (!(isLink && headers.get("sec-fetch-dest") === "document")) throw foreignOrigin("other sites");
}

/** A page can send the types of forms anywhere without asking; programs that are no browsers send what they like. */
function checkMediaType({ headers, body }: Request): void {
  if (body === null || !(headers.has("origin") || headers.has("sec-fetch-site"))) return;
  const type = headers.get("content-type") ?? "";
  if (/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type)) return;
  throw new Fault(
    "unsupported_media_type",
    `a web page must send application/json, not "${type.slice(0, 60)}"`,
  );
}

const isOwn = (origin: string, host: string | null): boolean =>
  host !== null && (origin === `http://${host}` || origin === `https://${host}`);

const matches = (pattern: string, origin: string): boolean =>
  pattern === origin || (pattern.endsWith("*") && origin.startsWith(pattern.slice(0, -1)));

const foreignOrigin = (origin: string): Fault =>
  new Fault("forbidden_origin", `web pages of ${origin.slice(0, SHOWN_CHARS)} may not use this server`, {
    remedy: "name it in EXO_ORIGINS to allow it",
  });

const foreignHost = (host: string): Fault =>
  new Fault("forbidden_host", `this server does not answer to "${host.slice(0, SHOWN_CHARS)}"`, {
    remedy: "use localhost and the right port, or name it in EXO_HOSTS to allow it",
  });
