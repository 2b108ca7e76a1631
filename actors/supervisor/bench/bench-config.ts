/** What a benchmark is asked to do, after reading and before anything is known of the target. */
import type { BackendWish } from "#protocol/collective";
import type { HiddenWish } from "#protocol/pass";
import type { CheckKind } from "./quality.ts";
import type { Requirements } from "./requirements.ts";

export interface BenchConfig {
  readonly name: string;
  readonly target: Target;
  readonly models: readonly ModelChoice[];
  readonly placement?: Placement;
  readonly require?: Requirements;
  readonly scenarios: readonly Scenario[];
  readonly collect: Collect;
  readonly output: { readonly dir: string; readonly formats: readonly Format[] };
  readonly compare?: { readonly baseline: string; readonly failIf: readonly Limit[] };
}

/** Absent `url`: the exo of this machine. */
export interface Target {
  readonly url?: string;
  readonly api?: Api;
  readonly keyEnv?: string;
}

export const APIS = ["chat", "completions", "responses", "messages", "ollama", "engine"] as const;
export type Api = (typeof APIS)[number];
export const FORMATS = ["table", "json", "json.zst", "jsonl", "csv", "markdown", "html"] as const;
export type Format = (typeof FORMATS)[number];

export interface ModelChoice {
  readonly id: string;
  readonly quant?: string;
  /** Tokens. */
  readonly ctx?: number;
}

export const STRATEGIES = ["auto", "pipeline", "tensor", "mixed", "single"] as const;

export interface Placement {
  readonly strategy?: readonly (typeof STRATEGIES)[number][];
  /** Of strategies that have ranks: by what these add up. */
  readonly backend?: readonly BackendWish[];
  /** Of strategies that have several stages: how hidden state goes between these. */
  readonly hidden?: readonly HiddenWish[];
  readonly nodes?: readonly (readonly string[])[];
}

export interface Collect {
  readonly energy?: boolean;
  readonly gpu?: boolean;
  readonly links?: boolean;
  readonly stages?: boolean;
  readonly interval?: number;
}

/** What holds for every scenario that does not say otherwise. */
export interface Habits {
  readonly stream: boolean;
  readonly temperature: number;
  readonly ignoreEos: boolean;
  readonly prefixCache: "off" | "warm" | "natural";
  /** Requests before the first measured run of each cell. */
  readonly warmup: number;
  readonly repeat: number;
  readonly cooldownMs: number;
  readonly timeoutMs: number;
  readonly seed: number;
}

export interface Scenario extends Habits {
  readonly name: string;
  readonly promptTokens: readonly Length[];
  readonly outputTokens: readonly Length[];
  /** Tokens already in the cache before the measured prompt. */
  readonly contextFill: readonly number[];
  readonly load: Load;
  readonly data?: Data;
  readonly slo?: Slo;
  readonly faults?: readonly Readonly<Record<string, string>>[];
  /** The file of each check, or `builtin`. */
  readonly check?: { readonly [K in CheckKind]?: string };
}

/** Tokens: a number, or a distribution to draw from. */
export type Length = number | Distribution;
export interface Distribution {
  readonly dist: "normal" | "uniform" | "lognormal";
  readonly mean: number;
  readonly std: number;
  readonly min: number;
  readonly max: number;
}

/** Limits that a request must meet to count as good; milliseconds. */
export interface Slo {
  readonly ttft?: number;
  readonly tpot?: number;
  readonly e2e?: number;
}

/** How long a load goes on: so many requests, or so many milliseconds. */
export interface Bound {
  readonly requests?: number;
  readonly durationMs?: number;
}

export const ARRIVALS = ["constant", "poisson", "gamma"] as const;
export type Arrival = (typeof ARRIVALS)[number];

export type Load =
  | ({ readonly type: "single" } & Bound)
  | ({ readonly type: "concurrent"; readonly streams: readonly number[] } & Bound)
  | ({
      readonly type: "rate";
      readonly rate: readonly number[];
      readonly arrival: Arrival;
      readonly burstiness: number;
      readonly maxConcurrency: number;
    } & Bound)
  | { readonly type: "throughput"; readonly requests: number; readonly maxConcurrency: number }
  | {
      readonly type: "sweep";
      readonly steps: number;
      readonly perStepMs: number;
      readonly maxConcurrency: number;
    }
  | { readonly type: "replay"; readonly speed: number; readonly maxConcurrency: number }
  | {
      readonly type: "ramp";
      readonly from: number;
      readonly to: number;
      readonly durationMs: number;
      readonly maxConcurrency: number;
    };

export type Data =
  | { readonly type: "trace"; readonly path: string }
  | { readonly type: "sharegpt"; readonly path: string }
  | { readonly type: "messages"; readonly path: string }
  | { readonly type: "prefixRepetition"; readonly prefixes: number; readonly prefixTokens: number }
  | { readonly type: "turns"; readonly turns: number; readonly growth: number; readonly system: number };

/** One `fail_if` rule: a change against the baseline in per cent, or a bound of the value itself. */
export interface Limit {
  readonly metric: string;
  readonly sign: "+" | "-" | ">" | "<";
  readonly amount: number;
  /** As it was written. */
  readonly text: string;
}

export const HABITS: Habits = {
  stream: true,
  temperature: 0,
  ignoreEos: true,
  prefixCache: "off",
  warmup: 2,
  repeat: 5,
  cooldownMs: 0,
  timeoutMs: 600_000,
  seed: 1,
};

/** More than any model's context holds. */
export const TOKENS_MAX = 10_000_000;
/** The spread is known long before that. */
export const REPEAT_MAX = 1000;
export const WARMUP_MAX = 1000;
/** Requests per second: one client sends no more. */
export const RATE_MAX = 10_000;
/** Of one run: every request is kept in memory and in the report. */
export const REQUESTS_MAX = 1_000_000;
/** A week: longer is a mistake, and timers count to 2^31 ms. */
export const DURATION_MAX_MS = 7 * 24 * 3_600_000;
/** Open connections of one client beyond this measure the client. */
export const CONCURRENCY_MAX = 1024;
/** So many at once fill any engine's batch; more only queue. */
export const CONCURRENCY_DEFAULT = 256;
