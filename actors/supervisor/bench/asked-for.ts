/** What the command line asks to be measured: a config.yaml with flags over it, or a model with flags alone. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Problem } from "#protocol/problem";
import { usageProblem } from "../exit-code.ts";
import type { Session } from "../session.ts";
import { tooMany } from "./arrivals.ts";
import { type BenchConfig, type Limit, REQUESTS_MAX } from "./bench-config.ts";
import { type BenchFlags, flagConfig, withFlags } from "./bench-flags.ts";
import { LAST, readReport } from "./files.ts";
import { CHECK_LIMITS } from "./limits.ts";
import { BASELINE_LAST, baseUrl, readConfig, URL_EXAMPLE } from "./read-config.ts";
import type { Report } from "./report.ts";

export interface Asked {
  readonly config: BenchConfig;
  /** What relative paths in the config are relative to. */
  readonly folder: string;
  /** Where reports go. */
  readonly dir: string;
  /** SHA-256 of what is to be measured: of anything else nothing is gone on from. */
  readonly hash: string;
  /** The first run of a config that compares with its last has nothing to compare with. */
  readonly mayLackBaseline: boolean;
}

/** Throws Problem. */
export function askedFor({ config: { folder } }: Session, what: string, flags: BenchFlags): Asked {
  const isFile = /\.ya?ml$/i.test(what);
  const path = resolve(folder, what);
  if (isFile && !existsSync(path))
    throw new Problem("notFound", `${what} does not exist`, {
      remedy: "name a config.yaml that does, or a model",
    });
  const config = isFile
    ? withFlags(configIn(textOf(path, what), what), onFile(flags, what))
    : flagConfig(what, flags);
  checkFlags(config, flags);
  const base = isFile ? dirname(path) : folder;
  return {
    config,
    folder: base,
    dir: resolve(flags.out === undefined ? base : folder, config.output.dir),
    hash: hashOf(config),
    mayLackBaseline: flags.compare === undefined,
  };
}

/** What a file's reader would refuse. */
function checkFlags({ target, scenarios }: BenchConfig, { url, depth = [], rate }: BenchFlags): void {
  if (rate !== undefined && depth.some((tokens) => tokens > 0))
    throw usageProblem(
      "-d fills a context before each prompt, so that requests could not come at a --rate",
      "leave out one of the two",
    );
  if (target.url !== undefined && target.api === "engine")
    throw usageProblem("engine is this exo without HTTP, and a url was named", "leave out one of the two");
  if (url !== undefined && baseUrl(url) === undefined)
    throw usageProblem(`--url ${url} is no URL of a server`, `write it as ${URL_EXAMPLE}`);
  for (const { load } of scenarios) {
    const count = tooMany(load);
    if (count !== undefined)
      throw usageProblem(
        `--rate and --duration ask for ${count} requests a run; at most ${REQUESTS_MAX} are kept`,
        "lower one of the two",
      );
  }
}

/** Where reports go and what they are compared with may change from one sitting to the next. */
function hashOf({ output, compare, ...measured }: BenchConfig): string {
  return new Bun.CryptoHasher("sha256").update(JSON.stringify(measured)).digest("hex");
}

function textOf(path: string, what: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new Problem(
      "invalid",
      `${what} cannot be read: ${error instanceof Error ? error.message : error}`,
      {
        remedy: "name a config.yaml that can",
        cause: error,
      },
    );
  }
}

/** Flags that mean one scenario's keys: a file has many, and none would be the one meant. */
const SHAPE_FLAGS: Readonly<Partial<Record<keyof BenchFlags, readonly [flag: string, key: string]>>> = {
  promptTokens: ["-p", "prompt_tokens"],
  outputTokens: ["-n", "output_tokens"],
  concurrency: ["-c", "load: {type: concurrent, streams: …}"],
  depth: ["-d", "context_fill"],
  rate: ["--rate", "load: {type: rate, rate: …}"],
  duration: ["--duration", "load: {duration: …}"],
};

function onFile(flags: BenchFlags, what: string): BenchFlags {
  for (const [name, [flag, key]] of Object.entries(SHAPE_FLAGS)) {
    if (flags[name as keyof BenchFlags] !== undefined)
      throw usageProblem(`${flag} is for exo bench MODEL, not for a file`, `write ${key} in ${what}`);
  }
  return flags;
}

/** A config that cannot be read is a wrong use. */
function configIn(text: string, path: string): BenchConfig {
  try {
    return readConfig(text, path);
  } catch (error) {
    throw error instanceof Problem ? usageProblem(error.message, error.remedy) : error;
  }
}

/** The report to compare with, or why there is none. Throws Problem where one was named that is not there. */
export async function baselineOf(asked: Asked): Promise<Report | "none asked" | "none yet"> {
  const { config, folder, dir, mayLackBaseline } = asked;
  if (!config.compare) return "none asked";
  const { baseline } = config.compare;
  const last = join(dir, LAST);
  const path = baseline === BASELINE_LAST ? last : resolve(folder, baseline);
  if (path === last && mayLackBaseline && !existsSync(last)) return "none yet";
  return await readReport(path);
}

/** What the config sets, and for checks that it asks for without a limit, the usual one. */
export function limitsOf({ compare, scenarios }: BenchConfig): readonly Limit[] {
  const set = compare?.failIf ?? [];
  const asked = scenarios.flatMap(({ check }) => Object.keys(check ?? {}));
  const usual = CHECK_LIMITS.filter(
    ({ metric }) => asked.includes(metric) && !set.some((limit) => limit.metric === metric),
  );
  return [...set, ...usual];
}
