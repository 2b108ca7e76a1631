/** What the configuration says of the HTTP API: where it listens, to which names, and to whom. */
import { Problem } from "#protocol/problem";
import type { ConfigFile } from "./config-file.ts";
import { set } from "./variable.ts";

export interface ApiConfig {
  readonly port: number;
  /** `localhost` is both loopback addresses. */
  readonly bind: string;
  /** One key that may do everything; where it is set, everybody needs a key. */
  readonly key?: string;
  /** Programs of this machine need a key too. */
  readonly requireKey: boolean;
  /** Names that clients call this machine, beside its own. */
  readonly hosts: readonly string[];
  /** Web pages that may call. */
  readonly origins: readonly string[];
  /** Files of the user's own certificate and its key, in PEM. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** The network may read along: no TLS where others are let in. */
  readonly plainHttp: boolean;
}

/** Whether only programs of this machine reach it. */
export const isOwnMachine = (bind: string): boolean =>
  bind === "localhost" || bind === "::1" || /^127(\.\d{1,3}){3}$/.test(bind);

/** What the command line may say about it. */
export interface ApiFlags {
  readonly port?: number;
  readonly bind?: string;
  readonly key?: string;
  readonly requireKey?: boolean;
  readonly hosts?: readonly string[];
  readonly origins?: readonly string[];
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly plainHttp?: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

export const PORT_DEFAULT = 52_415;

/** Precedence: flag, environment, file. Throws Problem `invalid`. */
export function apiConfig(flags: ApiFlags, env: Environment, file: ConfigFile["api"] = {}): ApiConfig {
  const key = flags.key ?? set(env.EXO_API_KEY) ?? keyOf(file.key, env);
  const tls = tlsOf(flags.tlsCert ?? file.tls_cert, flags.tlsKey ?? file.tls_key);
  return {
    port: flags.port ?? portOf(env.EXO_PORT) ?? file.port ?? PORT_DEFAULT,
    bind: flags.bind ?? file.bind ?? "localhost",
    ...(key !== undefined && { key }),
    requireKey: flags.requireKey ?? file.require_key ?? false,
    hosts: flags.hosts ?? list(env.EXO_HOSTS) ?? file.hosts ?? [],
    origins: flags.origins ?? list(env.EXO_ORIGINS) ?? file.origins ?? [],
    ...(tls && { tls }),
    plainHttp: flags.plainHttp ?? file.plain_http ?? false,
  };
}

function tlsOf(certificate: string | undefined, key: string | undefined): ApiConfig["tls"] {
  if (certificate !== undefined && key !== undefined) return { certificate, key };
  if (certificate === undefined && key === undefined) return undefined;
  throw new Problem("invalid", "a certificate and its key go together", {
    param: "api.tls_cert",
    remedy: "give both: --tls-cert FILE --tls-key FILE",
  });
}

const list = (value: string | undefined): readonly string[] | undefined =>
  set(value)
    ?.split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "");

function portOf(value: string | undefined): number | undefined {
  if (set(value) === undefined) return undefined;
  const port = Number(value);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new Problem("invalid", `EXO_PORT=${value} is not a port`, {
    param: "EXO_PORT",
    remedy: "use a number from 0 to 65535",
  });
}

function keyOf(reference: string | undefined, env: Environment): string | undefined {
  if (reference === undefined) return undefined;
  const name = reference.slice("env:".length);
  const key = set(env[name]);
  if (key !== undefined) return key;
  const remedy = `set ${name}, or remove api.key`;
  throw new Problem("invalid", `exo.yaml takes api.key from ${name}, which is not set`, {
    param: "api.key",
    remedy,
  });
}
