/** The request fields that chat and legacy completions share, and what they become. */
import { type Static, Type as t } from "@sinclair/typebox";
import type { Generation, Sampling } from "#protocol/generation";
import { Problem } from "#protocol/problem";
import { present } from "./body.ts";
import { Fault } from "./fault.ts";

/** Frames between processes hold 16 MiB and a UTF-16 unit takes up to 3 bytes there; no context is near so long. */
const PROMPT_CHARS_MAX = 5_000_000;
/** Five bytes each in a frame. */
const PROMPT_TOKENS_MAX = 3_000_000;
/** Every text piece is compared with every one of them. */
const STOPS_MAX = 128;
/** Each is looked up for every token. */
const BIASES_MAX = 4096;
/** A frame may be 32 deep, of which a generation takes the upper ones. */
const DEPTH_MAX = 24;
/** The 32-bit golden ratio: neighbouring choices get seeds far apart. */
const SEED_STEP = 0x9e3779b1;

const flag = t.Optional(t.Boolean());
const number = (minimum: number, maximum: number) => t.Optional(t.Number({ minimum, maximum }));
const count = (minimum: number, maximum: number) => t.Optional(t.Integer({ minimum, maximum }));
const tokenCount = (minimum: number) => count(minimum, Number.MAX_SAFE_INTEGER);

export const commonFields = {
  model: t.String({ minLength: 1 }),
  stream: flag,
  stream_options: t.Optional(t.Object({ include_usage: flag })),
  n: count(1, 128),
  stop: t.Optional(
    t.Union([t.String(), t.Array(t.String(), { maxItems: STOPS_MAX })], {
      description: `a text or a list of up to ${STOPS_MAX} texts`,
    }),
  ),
  stop_token_ids: t.Optional(t.Array(t.Integer({ minimum: 0 }), { maxItems: 1024 })),
  ignore_eos: flag,
  min_tokens: tokenCount(0),
  return_token_ids: flag,
  temperature: number(0, 2),
  /** An extension of exo's: the temperature where neither the request nor the model names one. */
  fallback_temperature: number(0, 2),
  top_p: number(0, 1),
  top_k: tokenCount(-1),
  min_p: number(0, 1),
  seed: t.Optional(t.Integer()),
  repetition_penalty: t.Optional(t.Number({ exclusiveMinimum: 0 })),
  presence_penalty: number(-2, 2),
  frequency_penalty: number(-2, 2),
  logit_bias: t.Optional(t.Record(t.String(), t.Number({ minimum: -100, maximum: 100 }))),
};
const Common = t.Object(commonFields);
export type Common = Static<typeof Common>;

/** The part of a generation that is the same in both; `choice` counts within one prompt. */
export function toOptions(
  body: Common,
  choice: number,
  maxTokens: number | undefined,
): Omit<Generation, "id" | "prompt"> {
  if (body.min_tokens !== undefined && maxTokens !== undefined && body.min_tokens > maxTokens) {
    const message = `\`min_tokens\` ${body.min_tokens} is above the limit of ${maxTokens} tokens`;
    throw new Fault("invalid_value", message, { param: "min_tokens" });
  }
  return {
    model: body.model,
    sampling: toSampling(body, choice),
    stop: toStops(body.stop),
    ...present({
      maxTokens,
      minTokens: body.min_tokens,
      stopTokens: body.stop_token_ids,
      ignoreEos: body.ignore_eos,
    }),
  };
}

function toSampling(body: Common, choice: number): Sampling {
  return present({
    temperature: body.temperature,
    fallbackTemperature: body.fallback_temperature,
    topP: body.top_p,
    topK: body.top_k === undefined ? undefined : Math.max(0, body.top_k),
    minP: body.min_p,
    seed: body.seed === undefined ? undefined : seedOf(body.seed, choice),
    repetitionPenalty: body.repetition_penalty,
    presencePenalty: body.presence_penalty,
    frequencyPenalty: body.frequency_penalty,
    logitBias: body.logit_bias === undefined ? undefined : checkedBias(body.logit_bias),
  });
}

/** The first choice keeps the seed itself, so `n` does not change it. */
const seedOf = (seed: number, choice: number): number =>
  (seed + choice * SEED_STEP) % Number.MAX_SAFE_INTEGER;

/** An empty stop string would end every answer at once; clients send it and mean none. */
const toStops = (stop: string | readonly string[] = []): string[] =>
  [stop].flat().filter((text) => text !== "");

function checkedBias(bias: Readonly<Record<string, number>>): Record<string, number> {
  const keys = Object.keys(bias);
  if (keys.length > BIASES_MAX) {
    const message = `\`logit_bias\` has ${keys.length} tokens; the limit is ${BIASES_MAX}`;
    throw new Fault("invalid_value", message, { param: "logit_bias" });
  }
  for (const key of keys) {
    if (!/^\d{1,10}$/.test(key)) {
      throw new Fault("invalid_value", `\`logit_bias\` is keyed by token ids, not "${key.slice(0, 40)}"`, {
        param: "logit_bias",
      });
    }
  }
  return { ...bias };
}

export function checkText(param: string, chars: number): void {
  if (chars <= PROMPT_CHARS_MAX) return;
  throw new Problem("tooLarge", `\`${param}\` has ${chars} characters; the limit is ${PROMPT_CHARS_MAX}`, {
    param,
  });
}

export function checkTokens(param: string, tokens: number): void {
  if (tokens <= PROMPT_TOKENS_MAX) return;
  throw new Problem("tooLarge", `\`${param}\` has ${tokens} token ids; the limit is ${PROMPT_TOKENS_MAX}`, {
    param,
  });
}

/** For values handed to the chat template as they are. */
export function checkDepth(param: string, value: unknown): void {
  if (deeper(value, DEPTH_MAX)) {
    throw new Fault("invalid_value", `\`${param}\` is nested deeper than ${DEPTH_MAX} levels`, { param });
  }
}

function deeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((item) => deeper(item, levels - 1));
}
