/** Who asks, and whether they may: keys and their scopes. */
import { timingSafeEqual } from "node:crypto";
import { type ApiKey, apiKeyId, type Scope } from "#protocol/api-key";
import { Problem } from "#protocol/problem";
import { isLoopback, isOwnMachine } from "./addresses.ts";
import { Fault } from "./dialects/fault.ts";
import { Failures } from "./failures.ts";
import type { KeyBook } from "./ports.ts";

/** What an address of the API asks for: a scope, any key at all, or nothing. */
export type Access = Scope | "any" | "open";

export interface AuthOptions {
  /** Where the server listens. */
  readonly host: string;
  /** One key that may do everything. Where it is set, everybody needs a key. */
  readonly apiKey?: string;
  readonly keys?: KeyBook;
  /** Programs of this machine need a key too. */
  readonly requireKey?: boolean;
}

/** Who was let in. Without `key`: a program of this machine, or the bearer of the one key that may do everything. */
export interface Grant {
  readonly key?: ApiKey;
}

export interface Auth {
  /** Throws a Problem: `unauthorised` without a good key, `forbidden` without the scope, `overloaded` after too many failures. */
  admit(request: Request, access: Access, client: string): Grant;
  /** Whether that key is still good. */
  holds(key: ApiKey): boolean;
}

/** The key of no request: compared where there is none, so that an unknown id takes as long as a known one. */
const NOBODY = new Uint8Array(32);

export function auth(options: AuthOptions, nowMs: () => number): Auth {
  const { apiKey, keys, requireKey = false } = options;
  const failures = new Failures(nowMs);
  const master = apiKey === undefined ? undefined : hashOf(apiKey);
  const everybody = requireKey || apiKey !== undefined;
  const needed = (request: Request, client: string) =>
    everybody || !(isOwnMachine(options.host) || isLoopback(client)) || isForwarded(request);

  /** Keys of 256 bits are looked up even for who has to wait: they cannot be guessed, and a neighbour's tool may be the one that fails. */
  function known(given: string): ApiKey | undefined {
    const id = apiKeyId(given);
    const found = id === undefined || !keys ? undefined : keptIn(keys, id);
    const right = equal(hashOf(given), found ? Buffer.from(found.hash, "hex") : NOBODY);
    return right ? found : undefined;
  }

  function grantOf(request: Request, client: string): Grant {
    const given = credential(request);
    if (given === undefined) throw unauthorised("an API key is needed");
    const key = known(given);
    if (key) return { key };
    const waitMs = failures.waitMs(client);
    if (waitMs > 0) throw tooMany(waitMs);
    if (master && equal(hashOf(given), master)) return {};
    failures.count(client);
    throw unauthorised("the API key is wrong");
  }

  return {
    admit(request, access, client) {
      if (access === "open" || !needed(request, client)) return {};
      const grant = grantOf(request, client);
      if (grant.key && access !== "any" && !grant.key.scopes.includes(access))
        throw lacking(grant.key, access);
      return grant;
    },
    holds: ({ id, hash }) => keys?.find(id)?.hash === hash,
  };
}

/** What is wrong with the files of this machine is its owner's business. */
function keptIn(keys: KeyBook, id: string): ApiKey | undefined {
  try {
    return keys.find(id);
  } catch (cause) {
    if (!(cause instanceof Problem)) throw cause;
    const remedy = "its owner sees why with `exo key list`";
    throw new Problem("unavailable", "the keys of this server cannot be read", { remedy, cause });
  }
}

/** As OpenAI's, Ollama's and Anthropic's clients send it. */
function credential({ headers }: Request): string | undefined {
  const bearer = headers.get("authorization")?.match(/^bearer\s+(.*)$/i)?.[1];
  const given = (bearer ?? headers.get("x-api-key"))?.trim();
  return given === "" ? undefined : given;
}

/** A proxy of this machine speaks for others: https://www.rfc-editor.org/rfc/rfc7239 and what came before it. */
const isForwarded = ({ headers }: Request): boolean =>
  ["forwarded", "x-forwarded-for", "x-real-ip", "via"].some((name) => headers.has(name));

const unauthorised = (why: string): Problem =>
  new Problem("unauthorised", why, {
    remedy: "send it as `Authorization: Bearer KEY` or `x-api-key: KEY`; `exo key create` makes one",
  });

const lacking = ({ name }: ApiKey, scope: Scope): Problem =>
  new Problem("forbidden", `the key "${name}" is not good for this: it lacks ${scope}`, {
    remedy: `make one that is: exo key create --scope ${scope}`,
  });

const tooMany = (waitMs: number): Fault =>
  new Fault("too_many_failures", "too many wrong keys came from this address", {
    headers: { "retry-after": String(Math.ceil(waitMs / 1000)), "retry-after-ms": String(Math.ceil(waitMs)) },
  });

const hashOf = (text: string): Uint8Array => new Bun.CryptoHasher("sha256").update(text).digest();

/** In the same time wherever they differ. */
const equal = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);
