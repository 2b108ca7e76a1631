/** The tiny model over several stages, and those who ask it, for tests. */
import type { Dtype } from "#ffi/array";
import { builtMlx } from "#ffi/built-library";
import type { Delta, Generation } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";
import { Problem, problemBody } from "#protocol/problem";
import type { Computer } from "./engine/computer.ts";
import { Engine } from "./engine/engine.ts";
import { letters } from "./engine/fake-model.ts";
import type { Limits } from "./engine/limits.ts";
import { tinyModel } from "./engine/tiny-model.ts";
import type { Loaded } from "./loading.ts";
import { type GroupOptions, memoryGroup } from "./memory-group.ts";
import { RankCollective } from "./ranks/rank-collective.ts";

export const mlx = builtMlx();
export const LAYERS = 4;
const clock = { nowMs: () => 0 };

export interface Options {
  readonly window?: number;
  readonly dtype?: Dtype;
  readonly limits?: Partial<Limits>;
  readonly freeBytes?: readonly (() => number)[];
  /** How many share each stage's layers: each computes all of them, as if it had heard the others' parts. */
  readonly ranks?: readonly number[];
}

/** The tiny model cut before these layers. */
export function stagesOf(
  cuts: readonly number[],
  { window, dtype = "float32", limits = {}, freeBytes = [], ranks = [] }: Options = {},
): Loaded[] {
  const ends = [...cuts, LAYERS];
  const places = ends.flatMap((end, stage) =>
    Array.from({ length: ranks[stage] ?? 1 }, (_, rank) => ({ end, stage, rank, world: ranks[stage] ?? 1 })),
  );
  return places.map(({ end, stage, rank, world }, place) => {
    const range = { start: ends[stage - 1] ?? 0, end };
    const model = tinyModel(mlx, { layers: LAYERS, range, dtype, ...(window && { window }) });
    const free = freeBytes[place];
    const agreeing = { agree: () => [], rest: () => {} };
    const layers = { mlx, model, ...(free && { freeBytes: free }), ...(world > 1 && { ranks: agreeing }) };
    const engine = (computer?: Computer) =>
      new Engine({ ...layers, text: letters, clock, limits, ...(computer && { computer }) });
    return {
      layers,
      engine: end === LAYERS ? engine : undefined,
      window,
      ranks: world > 1 ? new RankCollective(mlx, dtype, { rank, world }) : undefined,
      waitFor: () => false,
      meshOf: () => {
        throw new Error("these ranks add up by their links");
      },
      rest: () => {},
      facts: {} as Loaded["facts"],
    };
  });
}

export type Heard = Delta | { readonly failed: string };

export function asker(engine: Engine) {
  return (id: string, tokens: readonly number[], more: Partial<Generation> = {}): Heard[] => {
    const heard: Heard[] = [];
    const generation: Generation = {
      id: id as RequestId,
      model: "tiny",
      prompt: { type: "tokens", tokens: [...tokens] },
      sampling: { seed: 11 },
      stop: [],
      ignoreEos: true,
      maxTokens: 24,
      logprobs: 3,
      ...more,
    };
    engine.submit(generation, {
      delta: (delta) => heard.push(delta.type === "finish" ? { ...delta, timings: NO_TIME } : delta),
      failed: (error) => heard.push({ failed: problemBody(error).message }),
    });
    return heard;
  };
}
export const OVER = new Problem("unavailable", "the test is over");
const NO_TIME = { queueMs: 0, prefillMs: 0, decodeMs: 0 };

/** What a number of requests hear, of one machine (no cuts) or a group. */
export function world(cuts: readonly number[] | undefined, options: Options = {}, group: GroupOptions = {}) {
  if (cuts) {
    const { ranks } = options;
    const made = memoryGroup(stagesOf(cuts, options), { ...(ranks && { ranks }), ...group });
    return { ...made, ask: asker(made.engine) };
  }
  const { window, dtype = "float32", limits = {} } = options;
  const model = tinyModel(mlx, { layers: LAYERS, dtype, ...(window && { window }) });
  const engine = new Engine({ mlx, model, text: letters, clock, limits });
  const run = () => {
    while (engine.step());
  };
  return { engine, ask: asker(engine), step: () => engine.step(), run, members: [], parted: [] };
}

export const PROMPT = Array.from({ length: 90 }, (_, i) => (i * 7 + (i >> 3)) % 26);
export const tokensOf = (heard: readonly Heard[]) =>
  heard.flatMap((each) => ("type" in each && each.type === "text" ? each.tokens : []));

export const failureOf = (heard: readonly Heard[]): string | undefined => {
  const last = heard.at(-1);
  return last && "failed" in last ? last.failed : undefined;
};
