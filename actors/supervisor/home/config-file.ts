/** exo.yaml: what may stand in it, and what is wrong with what does. */

import { BACKEND_WISHES, type BackendWish } from "#protocol/collective";
import { HIDDEN_WISHES, type HiddenWish } from "#protocol/pass";
import { Problem } from "#protocol/problem";
import type { KvQuant } from "#protocol/shard";
import { nearest } from "../nearest.ts";

/** What exo.yaml may set; every part may be absent. */
export interface ConfigFile {
  readonly api?: {
    readonly port?: number;
    readonly bind?: string;
    /** Never the key itself but where it is: `env:NAME`. */
    readonly key?: string;
    readonly require_key?: boolean;
    readonly tls_cert?: string;
    readonly tls_key?: string;
    readonly plain_http?: boolean;
    readonly hosts?: readonly string[];
    readonly origins?: readonly string[];
  };
  readonly models?: {
    readonly dir?: string;
    readonly aliases?: Readonly<Record<string, string>>;
    readonly auto_pull?: boolean;
    readonly hub_endpoint?: string;
    /** Without a request for so long, a model gives way to another that needs its memory. */
    readonly idle_seconds?: number;
    /** Models that never do. */
    readonly keep?: readonly string[];
  };
  readonly runtime?: {
    /** Tokens. */
    readonly context?: number;
    /** How keys and values are kept: f32, f16, bf16 or q8. */
    readonly kv_quant?: KvQuant;
    /** By what tensor ranks add up where nobody says: auto, ring, jaccl or nccl. */
    readonly backend?: BackendWish;
    /** How hidden state goes between stages where nobody says: full or 8bit. */
    readonly hidden?: HiddenWish;
  };
  readonly cluster?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly port?: number;
    readonly discovery?: boolean;
    readonly discovery_port?: number;
    readonly exclude_interfaces?: readonly string[];
    readonly peers?: readonly string[];
    /** By which machines pair by themselves, or `env:NAME` of the variable that holds it. */
    readonly secret?: string;
  };
}

type Check = (value: unknown) => string | undefined;

const text: Check = (value) => (typeof value === "string" && value !== "" ? undefined : "must be text");
const flag: Check = (value) => (typeof value === "boolean" ? undefined : "must be true or false");
const texts: Check = (value) =>
  Array.isArray(value) && value.every((each) => !text(each)) ? undefined : "must be a list of texts";
const whole =
  (least: number, most: number): Check =>
  (value) =>
    Number.isInteger(value) && Number(value) >= least && Number(value) <= most
      ? undefined
      : `must be a whole number from ${least} to ${most}`;
const secret: Check = (value) =>
  typeof value === "string" && /^env:\w+$/.test(value)
    ? undefined
    : "must not hold a secret itself: write env:NAME and set that variable";
const address: Check = (value) =>
  typeof value === "string" && URL.canParse(value) ? undefined : "must be a URL";
const names: Check = (value) =>
  isSection(value) && Object.values(value).every((each) => !text(each))
    ? undefined
    : "must map names to models";

const kvQuant: Check = (value) =>
  typeof value === "string" && /^(f32|f16|bf16|q8)$/.test(value) ? undefined : "must be f32, f16, bf16 or q8";

const one =
  (of: readonly string[]): Check =>
  (value) =>
    of.some((each) => each === value) ? undefined : `must be one of ${of.join(", ")}`;

const SCHEMA: Readonly<Record<string, Readonly<Record<string, Check>>>> = {
  api: {
    port: whole(0, 65_535),
    bind: text,
    key: secret,
    require_key: flag,
    hosts: texts,
    origins: texts,
    tls_cert: text,
    tls_key: text,
    plain_http: flag,
  },
  models: {
    dir: text,
    aliases: names,
    auto_pull: flag,
    hub_endpoint: address,
    idle_seconds: whole(1, 365 * 86_400),
    keep: texts,
  },
  runtime: {
    context: whole(1, 1 << 30),
    kv_quant: kvQuant,
    backend: one(BACKEND_WISHES),
    hidden: one(HIDDEN_WISHES),
  },
  cluster: {
    name: text,
    namespace: text,
    port: whole(0, 65_535),
    discovery: flag,
    discovery_port: whole(1, 65_535),
    exclude_interfaces: texts,
    peers: texts,
    secret: text,
  },
};

/** A folder that one merely stands in must not redirect downloads (with their token), open the server or move the store. */
const USER_ONLY = [
  "api.bind",
  "api.key",
  "api.require_key",
  "api.hosts",
  "api.tls_cert",
  "api.tls_key",
  "api.plain_http",
  "api.origins",
  "models.dir",
  "models.hub_endpoint",
  "cluster.secret",
  "cluster.peers",
];

/** Checks the text of an exo.yaml; throws Problem `invalid` that names the file, the key and what to write instead. */
export function parseConfigFile(yaml: string, path: string, whose: "user" | "project"): ConfigFile {
  const parsed = parseYaml(yaml, path);
  if (parsed === null || parsed === undefined) return {};
  if (!isSection(parsed)) throw wrong(path, "the file", "must be a map of sections", Object.keys(SCHEMA));
  for (const [section, values] of Object.entries(parsed)) {
    const known = SCHEMA[section];
    if (!known) throw unknown(path, section, Object.keys(SCHEMA));
    if (values !== null && !isSection(values))
      throw wrong(path, section, "must be a map", Object.keys(known));
    for (const [key, value] of Object.entries(values ?? {})) {
      const name = `${section}.${key}`;
      const check = known[key];
      const siblings = Object.keys(known).map((each) => `${section}.${each}`);
      if (!check) throw unknown(path, name, siblings);
      checkValue(path, name, check(value), whose);
    }
  }
  return parsed as ConfigFile;
}

function checkValue(path: string, name: string, fault: string | undefined, whose: "user" | "project"): void {
  if (fault) {
    const remedy = `correct ${name} in ${path}`;
    throw new Problem("invalid", `${path}: ${name} ${fault}`, { param: name, remedy });
  }
  if (whose === "project" && USER_ONLY.includes(name)) {
    const remedy = "move it to the exo.yaml in EXO_HOME, or give it by flag or environment";
    const message = `${path}: ${name} is not taken from the folder one stands in`;
    throw new Problem("invalid", message, { param: name, remedy });
  }
}

function parseYaml(yaml: string, path: string): unknown {
  try {
    return Bun.YAML.parse(yaml);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Problem("invalid", `${path} is not YAML: ${why}`, {
      remedy: `correct ${path}, or move it away`,
    });
  }
}

const isSection = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function unknown(path: string, name: string, candidates: readonly string[]): Problem {
  const near = nearest(name, candidates);
  return wrong(path, name, near ? `is not known; did you mean ${near}?` : "is not known", candidates);
}

const wrong = (path: string, name: string, what: string, candidates: readonly string[]): Problem =>
  new Problem("invalid", `${path}: ${name} ${what}`, {
    param: name,
    remedy: `known here: ${candidates.join(", ")}`,
  });
