/** Flags, environment and exo.yaml become one frozen Config. The only reader of process.env. */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { BackendWish } from "#protocol/collective";
import type { HiddenWish } from "#protocol/pass";
import { Problem } from "#protocol/problem";
import type { KvQuant } from "#protocol/shard";
import type { IdleRule } from "../instance/idle.ts";
import { type ApiConfig, type ApiFlags, apiConfig, PORT_DEFAULT } from "./api-config.ts";
import { type ClusterConfig, type ClusterFlags, clusterConfig } from "./cluster-config.ts";
import { type ConfigFile, parseConfigFile } from "./config-file.ts";
import { checkKernelSettings } from "./kernel-settings.ts";
import { set } from "./variable.ts";

export interface Config {
  /** Where exo keeps everything of its own: EXO_HOME, else the platform's data folder. */
  readonly home: string;
  /** What relative paths are relative to. */
  readonly folder: string;
  /** What `~` stands for. */
  readonly userHome: string;
  /** The exo to talk to, as a URL, where the user named one. */
  readonly host?: string;
  readonly api: ApiConfig;
  readonly models: {
    readonly dir: string;
    readonly aliases: Readonly<Record<string, string>>;
    /**
     * Whether models are fetched without being named by a command: true also lets a request to the API fetch one, false
     * keeps even `run` and `serve --model` from it; undefined: commands fetch, requests do not.
     */
    readonly autoPull: boolean | undefined;
    readonly idle: IdleRule;
    /** Folders with models that came with a source build. */
    readonly extraFolders: readonly string[];
  };
  readonly hub: {
    /** HF_ENDPOINT; Hugging Face's own where not set. */
    readonly endpoint: string;
    readonly token?: string;
    readonly offline: boolean;
    /** HF_HOME and HF_HUB_CACHE, where set. */
    readonly hfHome?: string;
    readonly hfHubCache?: string;
    /** XDG_CACHE_HOME or ~/.cache. */
    readonly userCache: string;
  };
  readonly runtime: {
    readonly contextLength?: number;
    readonly kvQuant?: KvQuant;
    readonly backend?: BackendWish;
    readonly hidden?: HiddenWish;
  };
  readonly cluster: ClusterConfig;
  readonly terminal: {
    /** Absent: decided by whether the stream is a terminal. */
    readonly color?: boolean;
    readonly columns?: number;
    /** TERM=dumb: no cursor movement. */
    readonly dumb: boolean;
    /** Sentences only, nothing redrawn (screen readers). */
    readonly accessible: boolean;
    readonly history: boolean;
  };
  /** For processes of our own: no secrets, and nothing that makes Bun run foreign code. */
  readonly childEnvironment: Readonly<Record<string, string>>;
}

/** What the command line may say about the configuration. */
export interface ConfigFlags extends ApiFlags, ClusterFlags {
  readonly host?: string;
  readonly config?: string;
  readonly color?: boolean;
  /** Tokens of context. */
  readonly ctx?: number;
  readonly backend?: BackendWish;
  readonly hidden?: HiddenWish;
}

/** Where the flags' values meet the machine's; a test gives its own. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
  readonly userHome: string;
  readonly folder: string;
  /** Text of a file, undefined if there is none; throws if it cannot be read. */
  readonly read: (path: string) => string | undefined;
  readonly extraModelFolders: readonly string[];
}

/** A person who reads an answer or writes the next question takes less. */
const IDLE_SECONDS = 600;
const HUB_DEFAULT = "https://huggingface.co";

/** The real surroundings. `extraModelFolders` as in Config. */
export const surroundings = (extraModelFolders: readonly string[]): Surroundings => ({
  env: process.env,
  platform: process.platform,
  userHome: homedir(),
  folder: process.cwd(),
  read: (path) => (existsSync(path) ? readFileSync(path, "utf8") : undefined),
  extraModelFolders,
});

/** Of the real surroundings only what says how to print: with these there is always a configuration. */
export const printingOnly = (around: Surroundings): Surroundings => ({
  ...around,
  env: Object.fromEntries(PRINTING.map((name) => [name, around.env[name]])),
  read: () => undefined,
});
const PRINTING = ["TERM", "NO_COLOR", "CLICOLOR_FORCE", "COLUMNS", "EXO_ACCESSIBLE"];

/** Precedence: flag, environment, project's exo.yaml, user's exo.yaml, default. Throws Problem `invalid`. */
export function configOf(
  flags: ConfigFlags,
  { env, platform, userHome, folder, ...around }: Surroundings,
): Config {
  checkKernelSettings(env);
  const home = resolve(folder, set(env.EXO_HOME) ?? dataFolder(platform, userHome, env));
  const file = readFiles(flags, home, folder, around.read);
  const userCache = set(env.XDG_CACHE_HOME) ?? join(userHome, ".cache");
  const host = flags.host ?? set(env.EXO_HOST);
  return frozen({
    home,
    folder,
    userHome,
    ...(host !== undefined && { host: baseUrl(host) }),
    api: apiConfig(flags, env, file.api),
    models: {
      dir: resolve(
        home,
        set(env.EXO_MODELS) ?? file.models?.dir?.replace(/^~(?=\/|$)/, userHome) ?? "models",
      ),
      aliases: file.models?.aliases ?? {},
      autoPull: file.models?.auto_pull,
      idle: {
        afterMs: 1000 * (file.models?.idle_seconds ?? IDLE_SECONDS),
        kept: (file.models?.keep ?? []).map((name) => file.models?.aliases?.[name] ?? name),
      },
      extraFolders: around.extraModelFolders,
    },
    hub: {
      endpoint: set(env.HF_ENDPOINT) ?? file.models?.hub_endpoint ?? HUB_DEFAULT,
      ...optional("token", tokenOf(env, userCache, around.read)),
      offline: truthy(env.HF_HUB_OFFLINE),
      ...optional("hfHome", set(env.HF_HOME)),
      ...optional("hfHubCache", set(env.HF_HUB_CACHE)),
      userCache,
    },
    runtime: {
      ...optional("contextLength", flags.ctx ?? file.runtime?.context),
      ...optional("kvQuant", file.runtime?.kv_quant),
      ...optional("backend", flags.backend ?? file.runtime?.backend),
      ...optional("hidden", flags.hidden ?? file.runtime?.hidden),
    },
    cluster: clusterConfig(flags, env, file.cluster),
    terminal: {
      ...optional("color", colorOf(flags, env)),
      ...optional("columns", Number(env.COLUMNS) || undefined),
      dumb: env.TERM === "dumb",
      accessible: truthy(env.EXO_ACCESSIBLE),
      history: !truthy(env.EXO_NO_HISTORY),
    },
    childEnvironment: childEnvironment(env, [file.api?.key, file.cluster?.secret]),
  });
}

const truthy = (value: string | undefined): boolean =>
  value !== undefined && /^(1|true|yes|on)$/i.test(value);

const optional = <Key extends string, Value>(
  key: Key,
  value: Value | undefined,
): { readonly [K in Key]?: Value } =>
  (value === undefined ? {} : { [key]: value }) as { readonly [K in Key]?: Value };

/** The data folder of XDG's base directories, of macOS or of Windows. */
function dataFolder(platform: NodeJS.Platform, userHome: string, env: Surroundings["env"]): string {
  if (platform === "darwin") return join(userHome, "Library", "Application Support", "exo");
  if (platform === "win32") return join(set(env.LOCALAPPDATA) ?? join(userHome, "AppData", "Local"), "exo");
  return join(set(env.XDG_DATA_HOME) ?? join(userHome, ".local", "share"), "exo");
}

function readFiles(flags: ConfigFlags, home: string, folder: string, read: Surroundings["read"]): ConfigFile {
  if (flags.config !== undefined) {
    const path = resolve(folder, flags.config);
    const text = read(path);
    if (text === undefined)
      throw new Problem("invalid", `--config ${path} does not exist`, { param: "--config" });
    return parseConfigFile(text, path, "user");
  }
  const [userPath, projectPath] = [join(home, "exo.yaml"), join(folder, "exo.yaml")];
  const user = parseConfigFile(read(userPath) ?? "", userPath, "user");
  const project =
    projectPath === userPath ? {} : parseConfigFile(read(projectPath) ?? "", projectPath, "project");
  return {
    api: { ...user.api, ...project.api },
    models: {
      ...user.models,
      ...project.models,
      aliases: { ...user.models?.aliases, ...project.models?.aliases },
    },
    runtime: { ...user.runtime, ...project.runtime },
    cluster: { ...user.cluster, ...project.cluster },
  };
}

/** HF_TOKEN, else the file that `hf auth login` leaves. */
function tokenOf(
  env: Surroundings["env"],
  userCache: string,
  read: Surroundings["read"],
): string | undefined {
  const given = set(env.HF_TOKEN) ?? set(env.HUGGING_FACE_HUB_TOKEN);
  if (given !== undefined) return given;
  const path = set(env.HF_TOKEN_PATH) ?? join(set(env.HF_HOME) ?? join(userCache, "huggingface"), "token");
  return set(read(path)?.trim());
}

/** `host`, `host:port` or a URL; http and exo's own port where not said. */
function baseUrl(host: string): string {
  const schemed = /^https?:\/\//.test(host);
  const url = URL.parse(schemed ? host : `http://${host}`);
  if (!url || url.hostname === "") {
    throw new Problem("invalid", `${host} is not a host`, {
      param: "--host",
      remedy: "for example --host http://127.0.0.1:52415",
    });
  }
  if (!schemed && url.port === "" && !/:80\/?$/.test(host)) url.port = String(PORT_DEFAULT);
  return url.origin + url.pathname.replace(/\/+$/, "");
}

/** https://no-color.org and https://bixense.com/clicolors. */
function colorOf(flags: ConfigFlags, env: Surroundings["env"]): boolean | undefined {
  if (flags.color === false || set(env.NO_COLOR) !== undefined) return false;
  if (set(env.CLICOLOR_FORCE) !== undefined && env.CLICOLOR_FORCE !== "0") return true;
  return env.TERM === "dumb" ? false : undefined;
}

const SECRETS = ["EXO_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"];
/** Each makes a compiled program run something else. */
const BUN_DOORS = ["BUN_OPTIONS", "BUN_BE_BUN", "BUN_INSPECT", "BUN_INSPECT_PRELOAD"];

/** `references`: `env:NAME` of secrets that the file leaves to variables. */
function childEnvironment(
  env: Surroundings["env"],
  references: readonly (string | undefined)[],
): Record<string, string> {
  const kept: Record<string, string> = { DO_NOT_TRACK: "1" };
  const named = references.map((each) => each?.replace(/^env:/, ""));
  const left = new Set([...SECRETS, ...BUN_DOORS, ...named]);
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && !left.has(name)) kept[name] = value;
  }
  return kept;
}

function frozen<T extends object>(value: T): T {
  for (const each of Object.values(value)) if (typeof each === "object" && each !== null) frozen(each);
  return Object.freeze(value);
}
