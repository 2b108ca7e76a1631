/** One scenario of config.yaml: what is asked and how the requests come. */

import { isOpen, tooMany } from "./arrivals.ts";
import {
  ARRIVALS,
  CONCURRENCY_DEFAULT,
  CONCURRENCY_MAX,
  type Data,
  type Distribution,
  type Habits,
  type Length,
  type Load,
  REPEAT_MAX,
  REQUESTS_MAX,
  type Scenario,
  type Slo,
  TOKENS_MAX,
  WARMUP_MAX,
} from "./bench-config.ts";
import type { Located, Read, Reader } from "./located.ts";
import { duration, flag, listOf, number, oneOrMany, pause, rate, text, whole, word } from "./readers.ts";

/** What llama-bench takes, so that lines can be set side by side. */
export const PROMPT_DEFAULT = 512;
export const OUTPUT_DEFAULT = 128;
const tokens = (least: number) => whole(least, TOKENS_MAX);

const warmup: Reader<number> = (at) => {
  if (!at.isMap) return whole(0, WARMUP_MAX)(at);
  return at.fields({ requests: whole(0, WARMUP_MAX) }).requests ?? 0;
};

export const habitFields = {
  stream: flag,
  temperature: number(0, 2),
  ignore_eos: flag,
  prefix_cache: word("off", "warm", "natural"),
  warmup,
  repeat: whole(1, REPEAT_MAX),
  cooldown: pause,
  timeout: duration,
  seed: whole(0, 2 ** 32 - 1),
};

export function habitsOf(read: Read<typeof habitFields>): Partial<Habits> {
  const { stream, temperature, ignore_eos, prefix_cache, cooldown, timeout, seed } = read;
  return {
    ...(stream !== undefined && { stream }),
    ...(temperature !== undefined && { temperature }),
    ...(ignore_eos !== undefined && { ignoreEos: ignore_eos }),
    ...(prefix_cache !== undefined && { prefixCache: prefix_cache }),
    ...(read.warmup !== undefined && { warmup: read.warmup }),
    ...(read.repeat !== undefined && { repeat: read.repeat }),
    ...(cooldown !== undefined && { cooldownMs: cooldown }),
    ...(timeout !== undefined && { timeoutMs: timeout }),
    ...(seed !== undefined && { seed }),
  };
}

const length =
  (least: number): Reader<Length> =>
  (at) => {
    if (!at.isMap) return tokens(least)(at);
    const {
      dist,
      mean,
      std = 0,
      min = least,
      max = TOKENS_MAX,
    } = at.fields({
      dist: word("normal", "uniform", "lognormal"),
      mean: number(least, TOKENS_MAX),
      std: number(0, TOKENS_MAX),
      min: tokens(least),
      max: tokens(least),
    });
    const isUniform = dist === "uniform";
    if (dist === undefined) throw at.misfit("needs dist: normal, lognormal or uniform");
    if (min > max) throw at.misfit(`has min ${min} above max ${max}`);
    if (isUniform && max === TOKENS_MAX) throw at.misfit("is uniform and needs max");
    if (!isUniform && !at.has("mean")) throw at.misfit("needs mean");
    return { dist, mean: mean ?? (min + max) / 2, std, min, max } satisfies Distribution;
  };

const streams = oneOrMany(whole(1, CONCURRENCY_MAX));
const LOADS = ["single", "concurrent", "rate", "throughput", "sweep", "replay", "ramp"] as const;
const bounds = { requests: whole(1, REQUESTS_MAX), duration };
const max_concurrency = whole(1, CONCURRENCY_MAX);
const type = word(...LOADS);

/** The keys of each kind of load; others are faults even where another kind has them. */
const load: Reader<Load> = (at) => {
  const kind = kindOf(at);
  switch (kind) {
    case "single":
      return { type: kind, ...boundOf(at.fields({ type, ...bounds })) };
    case "concurrent": {
      const read = at.fields({ type, streams, ...bounds });
      return { type: kind, streams: read.streams ?? [1], ...boundOf(read) };
    }
    case "rate":
      return rateLoad(at);
    case "throughput": {
      const read = at.fields({ type, requests: bounds.requests, max_concurrency });
      return {
        type: kind,
        requests: read.requests ?? 32,
        maxConcurrency: read.max_concurrency ?? CONCURRENCY_MAX,
      };
    }
    case "sweep": {
      const read = at.fields({ type, steps: whole(1, 100), per_step: duration, max_concurrency });
      const { steps = 10, per_step: perStepMs = 60_000, max_concurrency: maxConcurrency = 64 } = read;
      return { type: kind, steps, perStepMs, maxConcurrency };
    }
    case "replay": {
      const read = at.fields({ type, speed: number(0.001, 1000), max_concurrency });
      return {
        type: kind,
        speed: read.speed ?? 1,
        maxConcurrency: read.max_concurrency ?? CONCURRENCY_DEFAULT,
      };
    }
    case "ramp": {
      const read = at.fields({ type, from: rate, to: rate, duration, max_concurrency });
      if (!at.has("from") || !at.has("to")) throw at.misfit("needs from and to, such as 0.5/s");
      const {
        from = 0,
        to = 0,
        duration: durationMs = 60_000,
        max_concurrency: maxConcurrency = CONCURRENCY_DEFAULT,
      } = read;
      return { type: kind, from, to, durationMs, maxConcurrency };
    }
  }
};

function kindOf(at: Located): Load["type"] {
  const found = at.entries().find(([key]) => key === "type");
  if (!found) throw at.misfit(`needs a type: one of ${LOADS.join(", ")}`);
  return type(found[1]);
}

const boundOf = (read: { readonly requests?: number; readonly duration?: number }) => ({
  ...(read.requests !== undefined && { requests: read.requests }),
  ...(read.duration !== undefined && { durationMs: read.duration }),
});

function rateLoad(at: Located): Load {
  const arrival = word(...ARRIVALS);
  const burstiness = number(0.01, 100);
  const read = at.fields({ type, rate: oneOrMany(rate), arrival, burstiness, max_concurrency, ...bounds });
  if (!at.has("rate")) throw at.misfit("needs a rate, such as 0.5/s");
  if (read.burstiness !== undefined && read.arrival !== "gamma")
    throw at.misfit("has burstiness, which only arrival: gamma knows");
  return {
    type: "rate",
    rate: read.rate ?? [],
    arrival: read.arrival ?? "poisson",
    burstiness: read.burstiness ?? 1,
    maxConcurrency: read.max_concurrency ?? CONCURRENCY_DEFAULT,
    ...(read.requests === undefined && read.duration === undefined ? { durationMs: 60_000 } : boundOf(read)),
  };
}

const data: Reader<Data> = (at) => {
  const read = at.fields({
    trace: text,
    sharegpt: text,
    messages: text,
    prefix_repetition: (here: Located) =>
      here.fields({ prefixes: whole(1, 10_000), prefix_tokens: tokens(1) }),
    turns: whole(1, 1000),
    growth: tokens(1),
    builtin: word("agent"),
  });
  const given = Object.keys(read).filter((key) => key !== "growth");
  if (given.length !== 1)
    throw at.misfit("must name exactly one of trace, sharegpt, messages, prefix_repetition, turns, builtin");
  if (read.trace !== undefined) return { type: "trace", path: read.trace };
  if (read.sharegpt !== undefined) return { type: "sharegpt", path: read.sharegpt };
  if (read.messages !== undefined) return { type: "messages", path: read.messages };
  if (read.prefix_repetition) {
    const { prefixes = 1, prefix_tokens: prefixTokens = 256 } = read.prefix_repetition;
    return { type: "prefixRepetition", prefixes, prefixTokens };
  }
  if (read.turns !== undefined)
    return { type: "turns", turns: read.turns, growth: read.growth ?? 200, system: 0 };
  // An agent as seen in the wild: a long system prompt with tools, and twelve turns that each add a tool's result.
  return { type: "turns", turns: 12, growth: 400, system: 2000 };
};

const fault: Reader<Readonly<Record<string, string>>> = (at) => {
  const { at: when, ...does } = at.fields({
    at: pause,
    kill: text,
    stop: text,
    partition: text,
    slow: text,
  });
  const kinds = Object.entries(does);
  if (when === undefined || kinds.length !== 1)
    throw at.misfit("needs at and exactly one of kill, stop, partition, slow");
  return { at: `${when} ms`, ...Object.fromEntries(kinds) };
};

const isFromFile = (read: Data | undefined): boolean =>
  read !== undefined && ["trace", "sharegpt", "messages"].includes(read.type);

const FIELDS = {
  name: text,
  prompt_tokens: oneOrMany(length(1)),
  output_tokens: oneOrMany(length(1)),
  context_fill: oneOrMany(tokens(0)),
  load,
  data,
  slo: (here: Located): Slo => here.fields({ ttft: duration, tpot: duration, e2e: duration }),
  faults: listOf(fault),
  check: (here: Located) => here.fields({ perplexity: text, answers: text, tools: text }),
  ...habitFields,
};

export const scenario =
  (defaults: Habits): Reader<Scenario> =>
  (at) => {
    const read = at.fields(FIELDS);
    const { name, load: how = { type: "single" } } = read;
    if (name === undefined) throw at.misfit("needs a name");
    const clash = clashOf(how, read);
    if (clash !== undefined) throw at.misfit(clash);
    // A sweep or a trace takes long and is its own series: once, unless it says otherwise itself.
    const isLong = how.type === "sweep" || how.type === "replay";
    return {
      ...defaults,
      ...(isLong && { repeat: 1 }),
      ...habitsOf(read),
      ...shapeOf(read),
      name,
      load: how,
    };
  };

function clashOf(load: Load, { data: source, context_fill }: Read<typeof FIELDS>): string | undefined {
  const count = tooMany(load);
  if (count !== undefined) return `asks for ${count} requests a run; at most ${REQUESTS_MAX} are kept`;
  if (load.type === "replay" && source?.type !== "trace") return "replays and needs data: {trace: FILE}";
  if (context_fill && source) return "has both context_fill and data; choose one";
  if (context_fill?.some((fill) => fill > 0) && isOpen(load))
    return `has context_fill, for which requests of a ${load.type} load would come too late; use single or concurrent`;
  return undefined;
}

function shapeOf({ data: source, slo, faults, check, ...read }: Read<typeof FIELDS>) {
  return {
    promptTokens: read.prompt_tokens ?? [isFromFile(source) ? 1 : PROMPT_DEFAULT],
    outputTokens: read.output_tokens ?? [OUTPUT_DEFAULT],
    contextFill: read.context_fill ?? [0],
    ...(source && { data: source }),
    ...(slo && { slo }),
    ...(faults && { faults }),
    ...(check && { check }),
  };
}
