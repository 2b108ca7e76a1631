/** Flags for the common case become the same config that a file gives; on a file they override its keys. */
import {
  type Api,
  type BenchConfig,
  CONCURRENCY_DEFAULT,
  type Format,
  HABITS,
  type Load,
} from "./bench-config.ts";
import { BASELINE_LAST, baseUrl, OUTPUT_DEFAULT } from "./read-config.ts";
import { OUTPUT_DEFAULT as OUTPUT_TOKENS, PROMPT_DEFAULT } from "./read-scenario.ts";

export interface BenchFlags {
  readonly promptTokens?: readonly number[];
  readonly outputTokens?: readonly number[];
  readonly concurrency?: readonly number[];
  readonly depth?: readonly number[];
  /** Requests per second. */
  readonly rate?: readonly number[];
  /** Milliseconds. */
  readonly duration?: number;
  readonly repeat?: number;
  readonly warmup?: number;
  readonly url?: string;
  readonly api?: Api;
  readonly compare?: string;
  readonly out?: string;
  readonly formats?: readonly Format[];
  readonly dryRun?: boolean;
  readonly resume?: boolean;
  readonly pull: boolean;
  /** Print annotations for a workflow. */
  readonly ci?: boolean;
}

/** For `exo bench MODEL`: one scenario. */
export function flagConfig(model: string, flags: BenchFlags): BenchConfig {
  const { promptTokens = [PROMPT_DEFAULT], outputTokens = [OUTPUT_TOKENS], depth = [0] } = flags;
  const scenario = {
    ...HABITS,
    name: "bench",
    promptTokens,
    outputTokens,
    contextFill: depth,
    load: loadOf(flags),
  };
  return withFlags(
    {
      name: model.split("/").at(-1) ?? model,
      target: {},
      models: [{ id: model }],
      scenarios: [scenario],
      collect: {},
      output: { dir: OUTPUT_DEFAULT, formats: ["table", "json"] },
    },
    flags,
  );
}

function loadOf({ concurrency = [1], rate, duration }: BenchFlags): Load {
  const bound = duration === undefined ? {} : { durationMs: duration };
  if (rate === undefined) return { type: "concurrent", streams: concurrency, ...bound };
  return {
    type: "rate",
    rate,
    arrival: "poisson",
    burstiness: 1,
    maxConcurrency: CONCURRENCY_DEFAULT,
    durationMs: duration ?? 60_000,
  };
}

/** What a flag says goes before what the file says. */
export function withFlags(config: BenchConfig, flags: BenchFlags): BenchConfig {
  const { url, api, compare, out, formats, repeat, warmup } = flags;
  const baseline =
    compare === undefined
      ? config.compare
      : { failIf: config.compare?.failIf ?? [], baseline: compare || BASELINE_LAST };
  return {
    ...config,
    target: {
      ...config.target,
      ...(url !== undefined && { url: baseUrl(url) ?? url }),
      ...(api !== undefined && { api }),
    },
    scenarios: config.scenarios.map((each) => ({
      ...each,
      ...(repeat !== undefined && { repeat }),
      ...(warmup !== undefined && { warmup }),
    })),
    output: { dir: out ?? config.output.dir, formats: formats ?? config.output.formats },
    ...(baseline && { compare: baseline }),
  };
}
