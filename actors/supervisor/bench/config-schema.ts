/**
 * config.yaml, version 1, for editors and other programs. What depends on several keys at once (a replay needs a trace)
 * or on the number in a text (0s) is left to the reader, which alone decides; a test holds the two together.
 */
import { type NumberOptions, type TSchema, Type as t } from "@sinclair/typebox";
import { BACKEND_WISHES } from "#protocol/collective";
import { HIDDEN_WISHES } from "#protocol/pass";
import {
  APIS,
  ARRIVALS,
  CONCURRENCY_MAX,
  DURATION_MAX_MS,
  FORMATS,
  RATE_MAX,
  REPEAT_MAX,
  REQUESTS_MAX,
  STRATEGIES,
  TOKENS_MAX,
  WARMUP_MAX,
} from "./bench-config.ts";
import { METRICS } from "./limits.ts";

const closed = { additionalProperties: false };
const about = (description: string) => ({ description });
const words = (list: readonly string[]) => t.Union(list.map((each) => t.Literal(each)));
const whole = (minimum: number, maximum?: number) =>
  t.Integer({ minimum, ...(maximum !== undefined && { maximum }) });
/** A list makes a grid; one value is a list of one. */
const oneOrMany = (schema: TSchema, description?: string) =>
  t.Union([schema, t.Array(schema, { minItems: 1 })], description === undefined ? {} : { description });
const optional = (fields: Readonly<Record<string, TSchema>>) =>
  Object.fromEntries(Object.entries(fields).map(([key, schema]) => [key, t.Optional(schema)]));
const keys = (fields: Readonly<Record<string, TSchema>>, description?: string) =>
  t.Object(optional(fields), { ...closed, ...(description !== undefined && { description }) });

const text = t.Union([t.String({ minLength: 1 }), t.Number()]);
const time = (least: NumberOptions, description: string) =>
  t.Union(
    [
      t.String({ pattern: "^\\d+(\\.\\d+)?\\s*(ms|s|min|m|h)?$" }),
      t.Number({ ...least, maximum: DURATION_MAX_MS / 1000 }),
    ],
    about(description),
  );
const pause = time({ minimum: 0 }, "80ms, 2s, 5m, 1h, or seconds");
const duration = time({ exclusiveMinimum: 0 }, "80ms, 2s, 5m, 1h, or seconds; above 0");
const rate = t.Union(
  [
    t.String({ pattern: "^\\d+(\\.\\d+)?(\\s*/\\s*(s|m|min|h))?$" }),
    t.Number({ exclusiveMinimum: 0, maximum: RATE_MAX }),
  ],
  about("0.5/s, 30/m, or requests per second; above 0"),
);
const flag = t.Union([t.Boolean(), words(["on", "off", "true", "false"])]);
const tokens = (least: number) => whole(least, TOKENS_MAX);

const length = t.Union([
  tokens(1),
  t.Object(
    {
      dist: words(["normal", "uniform", "lognormal"]),
      ...optional({
        mean: t.Number({ minimum: 1, maximum: TOKENS_MAX }),
        std: t.Number({ minimum: 0, maximum: TOKENS_MAX }),
        min: tokens(1),
        max: tokens(1),
      }),
    },
    closed,
  ),
]);

const habits = {
  stream: flag,
  temperature: t.Number({ minimum: 0, maximum: 2 }),
  ignore_eos: flag,
  prefix_cache: t.Union([words(["off", "warm", "natural"]), t.Literal(false)]),
  warmup: t.Union([whole(0, WARMUP_MAX), keys({ requests: whole(0, WARMUP_MAX) })]),
  repeat: whole(1, REPEAT_MAX),
  cooldown: pause,
  timeout: duration,
  seed: whole(0, 2 ** 32 - 1),
};

const bounds = { requests: whole(1, REQUESTS_MAX), duration };
const maxConcurrency = { max_concurrency: whole(1, CONCURRENCY_MAX) };
const loadOf = (
  type: string,
  fields: Readonly<Record<string, TSchema>>,
  needed: Record<string, TSchema> = {},
) => t.Object({ type: t.Literal(type), ...needed, ...optional(fields) }, closed);
const load = t.Union([
  loadOf("single", bounds),
  loadOf("concurrent", { streams: oneOrMany(whole(1, CONCURRENCY_MAX)), ...bounds }),
  loadOf(
    "rate",
    {
      arrival: words(ARRIVALS),
      burstiness: t.Number({ minimum: 0.01, maximum: 100 }),
      ...maxConcurrency,
      ...bounds,
    },
    { rate: oneOrMany(rate) },
  ),
  loadOf("throughput", { requests: bounds.requests, ...maxConcurrency }),
  loadOf("sweep", { steps: whole(1, 100), per_step: duration, ...maxConcurrency }),
  loadOf("replay", { speed: t.Number({ minimum: 0.001, maximum: 1000 }), ...maxConcurrency }),
  loadOf("ramp", { duration, ...maxConcurrency }, { from: rate, to: rate }),
]);

const data = t.Union([
  t.Object({ trace: text }, closed),
  t.Object({ sharegpt: text }, closed),
  t.Object({ messages: text }, closed),
  t.Object({ prefix_repetition: keys({ prefixes: whole(1, 10_000), prefix_tokens: tokens(1) }) }, closed),
  t.Object({ turns: whole(1, 1000), growth: t.Optional(tokens(1)) }, closed),
  t.Object({ builtin: words(["agent"]) }, closed),
]);

const fault = t.Union(
  ["kill", "stop", "partition", "slow"].map((kind) => t.Object({ at: pause, [kind]: text }, closed)),
);

const scenario = t.Object(
  {
    name: text,
    ...optional({
      prompt_tokens: oneOrMany(length, "a list makes a grid"),
      output_tokens: oneOrMany(length),
      context_fill: oneOrMany(tokens(0), "tokens already in the cache before the prompt"),
      load,
      data,
      slo: keys({ ttft: duration, tpot: duration, e2e: duration }, "limits that a good answer meets"),
      faults: t.Array(fault, { minItems: 1 }),
      check: keys(
        { perplexity: text, answers: text, tools: text },
        "a file, or builtin: fails the run when answers are damaged",
      ),
      ...habits,
    }),
  },
  closed,
);

const limit = t.String({
  pattern: "^\\s*([+-]\\s*\\d+(\\.\\d+)?\\s*%|[><]\\s*\\d+(\\.\\d+)?)\\s*$",
  ...about('"-5%" or "+10%" for a change, ">0" or "<10" for a value'),
});
const model = t.Union([text, t.Object({ id: text, ...optional({ quant: text, ctx: whole(1) }) }, closed)]);

export const BenchConfigFile = t.Object(
  {
    models: oneOrMany(model),
    scenarios: t.Array(scenario, { minItems: 1 }),
    ...optional({
      version: t.Literal(1),
      name: text,
      target: keys(
        {
          url: t.String({ pattern: "^https?://" }),
          api: words(APIS),
          key_env: text,
        },
        "where the model is; the exo of this machine without a url",
      ),
      placement: keys({
        strategy: oneOrMany(words(STRATEGIES)),
        backend: oneOrMany(words(BACKEND_WISHES)),
        hidden: oneOrMany(words(HIDDEN_WISHES)),
        nodes: t.Array(oneOrMany(text), { minItems: 1 }),
      }),
      require: keys(
        { nodes: text, memory: text, chip: text, link: text },
        "else all is skipped, with the reason",
      ),
      defaults: keys(habits, "for every scenario that does not say otherwise"),
      collect: keys({ energy: flag, gpu: flag, links: flag, stages: flag, interval: duration }),
      output: keys({ dir: text, formats: oneOrMany(words(FORMATS)) }),
      compare: keys({
        baseline: text,
        fail_if: keys(Object.fromEntries(Object.keys(METRICS).map((metric) => [metric, limit]))),
      }),
    }),
  },
  { ...closed, title: "exo bench config.yaml", $schema: "https://json-schema.org/draft/2020-12/schema" },
);
