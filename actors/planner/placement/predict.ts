/** What a placement will take and give, stage by stage: recomputed from the placement alone, however it was found. */
import type { ModelShape } from "#protocol/model-shape";
import { backMs, hopMs, layerTimes, linkMs, type Step } from "../cost.ts";
import type { Home, Wish } from "../home.ts";
import { type ShardBytes, shardBytes, usableBytes } from "../memory-estimate.ts";
import { type Placement, type Strategy, strategyOf } from "./placement.ts";

export interface MachineLoad extends ShardBytes {
  /** Place in the home. */
  readonly machine: number;
  readonly start: number;
  readonly end: number;
  readonly rank: number;
  readonly ranks: number;
  /** Of what is free without the reserve; more than that does not fit. */
  readonly usable: number;
  readonly total: number;
}

export interface Prediction {
  readonly placement: Placement;
  readonly strategy: Strategy;
  readonly loads: readonly MachineLoad[];
  /** Of one stream alone. */
  readonly decodeTokensPerSecond: number;
  /** Of all the wish's streams together. */
  readonly totalTokensPerSecond: number;
  /** Of a usual prompt. */
  readonly prefillTokensPerSecond: number;
  /** Of a step of all streams: by it, placements are compared. */
  readonly stepMs: number;
  /** Steps in flight at once, each of its part of the streams. */
  readonly inFlight: number;
}

export function predict(model: ModelShape, home: Home, wish: Wish, placement: Placement): Prediction {
  const decode = (tokens: number) =>
    stepOf(model, home, wish, { placement, step: { tokens, isPrompt: false } });
  const choices = flights(wish.streams).map((inFlight) => {
    const { totalMs, slowestMs } = decode(Math.ceil(wish.streams / inFlight));
    return { inFlight, stepMs: Math.max(totalMs, inFlight * slowestMs) };
  });
  const { inFlight, stepMs } = choices.reduce((a, b) => (b.stepMs < a.stepMs ? b : a));
  return {
    placement,
    strategy: strategyOf(placement),
    loads: loadsOf(model, home, wish, placement),
    decodeTokensPerSecond: 1000 / decode(1).totalMs,
    totalTokensPerSecond: (1000 * wish.streams) / stepMs,
    prefillTokensPerSecond: (1000 * wish.prompt) / prefillMs(model, home, wish, placement),
    stepMs,
    inFlight,
  };
}

/** More than any pipeline has stages to fill. */
const FLIGHTS_MAX = 16;

/** Numbers of steps in flight that are tried: one, two, four and so on, and one for each stream. */
export function flights(streams: number): readonly number[] {
  const most = Math.min(streams, FLIGHTS_MAX);
  const powers = [1, 2, 4, 8, 16].filter((count) => count <= most);
  return [...new Set([...powers, most])];
}

export interface StepTimes {
  /** Through all stages, and the new token back to the first. */
  readonly totalMs: number;
  /** Of the stage or link that is busy longest. */
  readonly slowestMs: number;
}

export function stepOf(
  model: ModelShape,
  home: Home,
  wish: Wish,
  { placement, step }: { readonly placement: Placement; readonly step: Step },
): StepTimes {
  const values = step.tokens * model.hidden;
  let [totalMs, slowestMs] = [0, 0];
  for (const [at, { machines, start, end }] of placement.entries()) {
    const times = layerTimes(model, home, wish, { machines, step });
    const ms = times.subarray(start, end).reduce((sum, each) => sum + each, 0);
    const next = placement[at + 1];
    totalMs += ms + (next ? hopMs(home, machines, next.machines, values) : 0);
    slowestMs = Math.max(slowestMs, ms, next ? linkMs(home, machines, next.machines, values) : 0);
  }
  const [first, last] = [placement[0], placement.at(-1)];
  if (first && last && first !== last) totalMs += backMs(home, last.machines, first.machines);
  return { totalMs, slowestMs };
}

/** Chunks of a prompt follow each other through the stages. */
function prefillMs(model: ModelShape, home: Home, wish: Wish, placement: Placement): number {
  const chunk = placement.length > 1 ? Math.min(wish.chunk, wish.chunkStaged) : wish.chunk;
  const step = { tokens: Math.min(chunk, wish.prompt), isPrompt: true };
  const { totalMs, slowestMs } = stepOf(model, home, wish, { placement, step });
  return totalMs + (Math.ceil(wish.prompt / step.tokens) - 1) * slowestMs;
}

function loadsOf(model: ModelShape, home: Home, wish: Wish, placement: Placement): readonly MachineLoad[] {
  return placement.flatMap(({ machines, start, end }) =>
    machines.map((at, rank) => {
      const machine = home.machines[at];
      const size = { start, end, ranks: machines.length, activationBytes: machine?.activationBytes ?? 4 };
      const bytes = shardBytes(model, wish, size);
      const total = bytes.weights + bytes.kv + bytes.work;
      const usable = machine ? usableBytes(machine) : 0;
      return { machine: at, start, end, rank, ranks: machines.length, ...bytes, usable, total };
    }),
  );
}

/** Machines that a placement would overfill, and by how many bytes. */
export const shortfalls = ({ loads }: Prediction): readonly { machine: number; bytes: number }[] =>
  loads
    .filter(({ total, usable }) => total > usable)
    .map(({ machine, total, usable }) => ({ machine, bytes: total - usable }));
