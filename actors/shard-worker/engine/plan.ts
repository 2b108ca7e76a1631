/** A request made ready: its prompt as tokens, everything about it checked, its sampler built. */
import type { Generation, Sampling } from "#protocol/generation";
import { Problem } from "#protocol/problem";
import type { Passes } from "../sampling/passes.ts";
import { Penalties } from "../sampling/penalties.ts";
import { createSampler, type Sampler } from "../sampling/sampler.ts";
import { seedOf } from "../sampling/uniform.ts";
import { tooLong } from "../text/too-long.ts";
import type { TextPort } from "./text-port.ts";

export interface Plan {
  readonly prompt: readonly number[];
  /** Tokens that may be generated: asked for, or what the context has room for. */
  readonly maxTokens: number;
  readonly penalties: Penalties;
  readonly sampler: Sampler;
}

export interface Bounds {
  readonly contextLength: number;
  readonly vocabularySize: number;
  /** The model's own sampling, for what the request leaves out. */
  readonly defaults: Sampling;
  readonly passes: Passes;
}

/** Throws Problem naming what cannot be done. */
export function planOf(generation: Generation, text: TextPort, bounds: Bounds): Plan {
  const { contextLength, vocabularySize, defaults, passes } = bounds;
  const { fallbackTemperature: temperature = 1, ...asked } = generation.sampling;
  const sampling = { temperature, ...defaults, ...asked };
  checkIds(Object.keys(sampling.logitBias ?? {}).map(Number), vocabularySize, "logit_bias");
  checkIds(generation.stopTokens ?? [], vocabularySize, "stop_token_ids");
  checkIds(generation.resume?.tokens ?? [], vocabularySize, "resume");
  const prompt = text.encode(generation.prompt, contextLength);
  if (prompt.length === 0) throw new Problem("invalid", "the prompt is empty", { param: "prompt" });
  checkIds(prompt, vocabularySize, "prompt");
  return {
    prompt,
    maxTokens: roomFor(prompt.length, generation.maxTokens, contextLength),
    penalties: new Penalties(sampling, prompt),
    sampler: createSampler(
      sampling,
      sampling.seed === undefined ? seedOf(generation.id) : BigInt(sampling.seed),
      passes,
    ),
  };
}

function roomFor(promptLength: number, asked: number | undefined, contextLength: number): number {
  const room = contextLength - promptLength;
  if (room < 0 || (room === 0 && asked !== 0)) throw tooLong(contextLength, promptLength);
  return Math.min(asked ?? room, room);
}

function checkIds(ids: readonly number[], vocabularySize: number, param: string): void {
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabularySize);
  if (wrong !== undefined) {
    throw new Problem("invalid", `${param}: token ${wrong} is not in the vocabulary of ${vocabularySize}`, {
      param,
    });
  }
}
