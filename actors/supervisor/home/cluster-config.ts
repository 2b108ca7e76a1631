/** What the configuration says of this machine among others. */
import { Problem } from "#protocol/problem";
import type { ConfigFile } from "./config-file.ts";

export interface ClusterConfig {
  /** As others see this machine; its host name where absent. */
  readonly name?: string;
  /** Homes that share a network stay apart by it. */
  readonly namespace: string;
  /** TCP, for members. */
  readonly port: number;
  /** Where nobody chose it, another will do as well. */
  readonly isPortChosen: boolean;
  /** UDP, for shouting; undefined: neither shout nor listen. */
  readonly discoveryPort: number | undefined;
  readonly excludedInterfaces: readonly string[];
  /** Machines that shouting does not reach, `host:port` of their members' port. */
  readonly peers: readonly string[];
  /** Machines that have the same one pair by themselves. */
  readonly secret?: string;
}

export interface ClusterFlags {
  readonly discovery?: boolean;
  readonly namespace?: string;
  readonly peers?: readonly string[];
}

const PORT_DEFAULT = 52_416;
const DISCOVERY_PORT_DEFAULT = 52_415;
/** What a person makes up is shorter, and could be guessed by who records nothing but tries. */
const SECRET_LETTERS_MIN = 32;
/** Of 32 letters that were drawn so few are never alike. */
const SECRET_KINDS_MIN = 8;
const ADDRESS = /^(?:\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[\w.-]+):\d{1,5}$/;

/** A flag wins over the environment's `EXO_NAMESPACE`, that over the file. Throws Problem `invalid`. */
export function clusterConfig(
  flags: ClusterFlags,
  env: Readonly<Record<string, string | undefined>>,
  file: ConfigFile["cluster"] = {},
): ClusterConfig {
  const seeks = flags.discovery !== false && file.discovery !== false;
  const secret = secretOf(file.secret, env);
  const namespace = flags.namespace ?? (env.EXO_NAMESPACE || undefined) ?? file.namespace ?? "default";
  return {
    ...(file.name !== undefined && { name: file.name }),
    namespace,
    port: file.port ?? PORT_DEFAULT,
    isPortChosen: file.port !== undefined,
    discoveryPort: seeks ? (file.discovery_port ?? DISCOVERY_PORT_DEFAULT) : undefined,
    excludedInterfaces: file.exclude_interfaces ?? [],
    peers: (flags.peers ?? file.peers ?? []).map(checkedAddress),
    ...(secret !== undefined && { secret }),
  };
}

function checkedAddress(address: string): string {
  const port = Number(address.slice(address.lastIndexOf(":") + 1));
  if (ADDRESS.test(address) && port >= 1 && port <= 65_535) return address;
  throw new Problem("invalid", `cluster.peers: "${address}" is no address`, {
    param: "cluster.peers",
    remedy: `write host:port, such as 192.168.1.7:${PORT_DEFAULT} or [fe80::1%en0]:${PORT_DEFAULT}`,
  });
}

function secretOf(
  given: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  if (given === undefined) return undefined;
  const [, name] = /^env:(\w+)$/.exec(given) ?? [];
  const secret = name === undefined ? given : env[name];
  if (secret === undefined || secret === "")
    throw weak(
      `names the variable ${name}, which is not set`,
      "set it, or make a secret: exo invite --secret",
    );
  if (secret.length < SECRET_LETTERS_MIN)
    throw weak(
      `has ${secret.length} letters; at least ${SECRET_LETTERS_MIN} are needed`,
      "make one: exo invite --secret",
    );
  if (new Set(secret).size < SECRET_KINDS_MIN)
    throw weak("repeats a few letters, so that it can be guessed", "make one: exo invite --secret");
  return secret;
}

const weak = (why: string, remedy: string): Problem =>
  new Problem("invalid", `cluster.secret ${why}`, { param: "cluster.secret", remedy });
