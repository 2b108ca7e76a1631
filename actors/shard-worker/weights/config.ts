/** A folder's config.json and generation_config.json, checked and in one spelling. Keys stay as Hugging Face writes them. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Sampling } from "#protocol/generation";
import { Problem } from "#protocol/problem";
import { modelTypeOf } from "../models/registry.ts";
import { isRecord, present, withoutNulls } from "./config-entries.ts";
import { quoted } from "./file-bytes.ts";

/** What models are built from: `model_type` and the keys that it needs. */
export interface ModelConfig {
  readonly model_type: string;
  readonly [key: string]: unknown;
}

/** How the model's authors would have it sampled, and its end tokens. */
export interface GenerationDefaults
  extends Pick<Sampling, "temperature" | "topP" | "topK" | "minP" | "repetitionPenalty"> {
  readonly eosTokens: readonly number[];
}

export interface FolderConfig {
  readonly config: ModelConfig;
  readonly generation: GenerationDefaults;
}

/** Keys that no architecture here can do without. */
const needed = [
  "hidden_size",
  "num_hidden_layers",
  "num_attention_heads",
  "intermediate_size",
  "vocab_size",
] as const;

/** Throws Problem naming a file that is missing or not JSON, a needed key, or a `model_type` that cannot be built. */
export function readFolderConfig(folder: string): FolderConfig {
  const path = join(folder, "config.json");
  const given = withoutNulls(readJson(path, true));
  const config: ModelConfig = { ...onePositionSpelling(given), model_type: modelTypeOf(given) };
  for (const key of needed) {
    const value = config[key];
    if (typeof value === "number" && Number.isInteger(value) && value > 0) continue;
    const what =
      value === undefined
        ? `lacks '${key}'`
        : `has ${key} = ${quoted(value)}, which is not a whole number above 0`;
    throw new Problem("invalid", `${path} ${what}`, {
      param: key,
      remedy: "fetch the model again, or correct the file",
    });
  }
  return { config, generation: generationDefaults(folder, config) };
}

/**
 * transformers 4 writes `rope_theta` beside `rope_scaling`, transformers 5 both inside `rope_parameters`; the newer
 * spelling is kept, and wins where a file has both.
 */
function onePositionSpelling(given: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { rope_theta: theta, rope_scaling: scaling, rope_parameters: parameters, ...rest } = given;
  if (theta === undefined && scaling === undefined) return given;
  const joined = {
    ...(theta !== undefined && { rope_theta: theta }),
    ...record(scaling),
    ...record(parameters),
  };
  return { ...rest, rope_parameters: joined };
}

function generationDefaults(folder: string, config: ModelConfig): GenerationDefaults {
  const path = join(folder, "generation_config.json");
  const given = withoutNulls(readJson(path, false));
  const number = (key: string) => {
    const value = given[key];
    if (value === undefined || typeof value === "number") return value;
    throw new Problem("invalid", `${path} has ${key} = ${quoted(value)}, which is not a number`, {
      param: key,
    });
  };
  const sampling = {
    // Some files say greedy, and carry a temperature all the same.
    temperature: given.do_sample === false ? 0 : number("temperature"),
    topP: number("top_p"),
    topK: limit(number("top_k")),
    minP: number("min_p"),
    repetitionPenalty: number("repetition_penalty"),
  };
  const eosTokens = endTokens(path, given.eos_token_id ?? config.eos_token_id);
  return inRange(path, { ...present(sampling), eosTokens });
}

/** Some writers say -1 for "all". */
const limit = (topK: number | undefined) => (topK === undefined ? undefined : Math.max(0, topK));

/** One id or a list of them. */
function endTokens(path: string, given: unknown): readonly number[] {
  const ids = given === undefined ? [] : Array.isArray(given) ? given : [given];
  if (ids.every((id) => Number.isInteger(id) && id >= 0)) return ids;
  throw new Problem(
    "invalid",
    `${path} has eos_token_id = ${quoted(given)}, which is neither a token id nor a list of them`,
    {
      param: "eos_token_id",
    },
  );
}

/** Refuses defaults that no request could ask for. */
export function inRange(path: string, defaults: GenerationDefaults): GenerationDefaults {
  const { temperature = 0, topP = 1, topK = 0, minP = 0, repetitionPenalty = 1 } = defaults;
  const share = (value: number) => value >= 0 && value <= 1;
  const good = {
    temperature: temperature >= 0,
    topP: share(topP),
    topK: topK >= 0,
    minP: share(minP),
    repetitionPenalty: repetitionPenalty > 0,
  };
  for (const [name, fits] of Object.entries(good)) {
    if (fits) continue;
    const value = defaults[name as keyof GenerationDefaults];
    throw new Problem("invalid", `${path} recommends ${name} = ${quoted(value)}, which is out of range`, {
      param: name,
    });
  }
  return defaults;
}

function readJson(path: string, must: boolean): Readonly<Record<string, unknown>> {
  if (!existsSync(path)) {
    if (!must) return {};
    throw new Problem("notFound", `${path} is missing`, {
      remedy: "give a folder that holds a whole model, or a .gguf file",
    });
  }
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new Problem("invalid", `${path} is not JSON: ${cause instanceof Error ? cause.message : cause}`);
  }
  if (isRecord(json)) return json;
  throw new Problem("invalid", `${path} is not a JSON object`);
}

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  isRecord(value) ? withoutNulls(value) : {};
