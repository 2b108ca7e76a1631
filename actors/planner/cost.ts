/**
 * How long a step takes. A layer is as slow as the slower of reading its bytes and doing its arithmetic, as in a roofline
 * (https://doi.org/10.1145/1498765.1498785); hops and collectives are latency and transfer.
 */
import { MESH_MAX } from "#protocol/collective";
import { keptByRank, type LayerShape, type ModelShape } from "#protocol/model-shape";
import { HIDDEN_BYTES_IN_8, type Home, type Speeds, type Way, type Wish } from "./home.ts";

/** `tokens` computed at once: one of each of so many streams, or a chunk of one prompt. */
export interface Step {
  readonly tokens: number;
  /** A prompt's own keys and values are read once for all its tokens, other streams' once each. */
  readonly isPrompt: boolean;
}

/** Milliseconds of each layer on these machines as one tensor group (or one machine); the head counts to the last layer. */
export function layerTimes(
  model: ModelShape,
  home: Home,
  wish: Wish,
  { machines, step }: { readonly machines: readonly number[]; readonly step: Step },
): Float64Array {
  const ranks = machines.length;
  const { layers, hidden, headBytes, vocabulary } = model;
  const answers = step.isPrompt ? 1 : step.tokens;
  const sums = ranks > 1 ? 2 * collectiveMs(home, machines, step.tokens * hidden) : 0;
  const times = new Float64Array(layers.length);
  const around = { prompt: wish.prompt, kvBytes: wish.kvBytes, ranks };
  const headLoad = {
    read: headBytes,
    alone: headBytes,
    work: 2 * hidden * vocabulary * answers,
    answers,
  };
  for (const [at, layer] of layers.entries()) {
    const isLast = at === layers.length - 1;
    const before = layers[at - 1];
    if (before && !isLast && areAlike(before, layer)) {
      times[at] = times[at - 1] ?? 0;
      continue;
    }
    const read = layerRead(model, layer, { ...around, step });
    const alone = layerRead(model, layer, { ...around, step: { tokens: 1, isPrompt: false } });
    const load = { read, alone, work: (layer.flops * step.tokens) / ranks, answers };
    const slowest = Math.max(
      ...machines.map((machine) => machineMs(home, machine, load, isLast ? headLoad : undefined)),
    );
    times[at] = slowest + sums;
  }
  return times;
}

/** As most layers of a model are. */
const areAlike = (a: LayerShape, b: LayerShape): boolean =>
  a.bytes === b.bytes &&
  a.wholeBytes === b.wholeBytes &&
  a.kvBytes === b.kvBytes &&
  a.expertBytes === b.expertBytes &&
  a.flops === b.flops &&
  a.window === b.window;

export interface Reading {
  /** Tokens that each sequence holds. */
  readonly prompt: number;
  /** Bytes of one kept value. */
  readonly kvBytes: number;
  readonly ranks: number;
  readonly step: Step;
}

/** Bytes of one layer that one rank reads in a step: its weights (of experts those that are chosen, on average), keys and values. */
export function layerRead(
  { heads, kvHeads, headDims, experts }: ModelShape,
  { bytes, wholeBytes, kvBytes: kvWeights = 0, expertBytes = 0, window }: LayerShape,
  { prompt, kvBytes, ranks, step }: Reading,
): number {
  const caches = step.isPrompt ? 1 : step.tokens;
  const chosen = experts ? 1 - (1 - experts.used / experts.count) ** step.tokens : 1;
  const kept = keptByRank(heads, kvHeads, ranks) / kvHeads;
  const kv = 2 * kvHeads * headDims * kvBytes * Math.min(prompt, window ?? prompt) * caches;
  const cut = bytes - wholeBytes - kvWeights - expertBytes * (1 - chosen);
  return wholeBytes + cut / ranks + (kvWeights + kv) * kept;
}

interface Load {
  readonly read: number;
  /** What a step of one answer reads. */
  readonly alone: number;
  readonly work: number;
  readonly answers: number;
}

function machineMs(home: Home, at: number, layer: Load, head: Load | undefined): number {
  const speeds = home.machines[at]?.speeds;
  if (!speeds) throw new Error(`no machine ${at} in this home`);
  const { layerMs, stepMs } = speeds;
  return loadMs(layer, speeds) + layerMs + (head ? loadMs(head, speeds) + stepMs * head.answers : 0);
}

/** Several answers together never take less than was measured of so many. */
function loadMs({ read, alone, work, answers }: Load, speeds: Speeds): number {
  const { bytesPerSecond, flopsPerSecond, together } = speeds;
  const measured = together && answers > 1 ? alone * multiple(together, answers) : 0;
  return 1000 * Math.max(Math.max(read, measured) / bytesPerSecond, work / flopsPerSecond);
}

/** What a step of `answers` takes over one of a single one: between the measured 1, 2, 4 and 8, and beyond them, in straight lines. */
function multiple(together: readonly number[], answers: number): number {
  const known = [1, ...together];
  const upper = Math.min(Math.ceil(Math.log2(answers)), known.length - 1);
  const [low, high] = [known[upper - 1] ?? 1, known[upper] ?? 1];
  const [from, to] = [2 ** (upper - 1), 2 ** upper];
  return upper === 0 ? 1 : low + ((high - low) * (answers - from)) / (to - from);
}

const wayMs = (way: Pick<Way, "latencyMs" | "bytesPerSecond"> | undefined, bytes: number): number =>
  way ? way.latencyMs + (1000 * bytes) / way.bytesPerSecond : Number.POSITIVE_INFINITY;

/** Of one value on its way to another stage. */
const sentBytes = ({ machines, hidden }: Home, source: number): number =>
  hidden === "8bit" ? HIDDEN_BYTES_IN_8 : (machines[source]?.activationBytes ?? 4);

/** Hidden state of `values` values from one stage to the next: the first rank here sends it to every rank there, one after the other. */
export function hopMs(
  home: Home,
  [source = 0]: readonly number[],
  to: readonly number[],
  values: number,
): number {
  const bytes = values * sentBytes(home, source);
  let [latencyMs, transferMs] = [0, 0];
  for (const target of to) {
    const way = home.ways[source]?.[target];
    if (!way) return Number.POSITIVE_INFINITY;
    latencyMs = Math.max(latencyMs, way.latencyMs);
    transferMs += (1000 * bytes) / way.bytesPerSecond;
  }
  return latencyMs + transferMs;
}

/** The next token, from the last rank of the last stage to all that embed it. */
export const backMs = (home: Home, from: readonly number[], to: readonly number[]): number =>
  hopMs(home, from.slice(-1), to, 0);

/** How long a hop keeps its link busy: what limits several steps in flight. */
export const linkMs = (home: Home, from: readonly number[], to: readonly number[], values: number): number =>
  hopMs(home, from, to, values) - hopMs(home, from, to, 0);

/** An all-reduce of `values` values, by the best of a one-shot exchange, recursive doubling and a ring (Thakur et al., 2005). */
export function collectiveMs(home: Home, machines: readonly number[], values: number): number {
  const ranks = machines.length;
  const way = sumsBy(home, machines);
  const bytes = values * Math.max(...machines.map((at) => home.machines[at]?.activationBytes ?? 4));
  let latency = 0;
  let perByte = 0;
  for (const from of machines)
    for (const to of machines) {
      if (from === to) continue;
      const by = way(from, to);
      latency = Math.max(latency, wayMs(by, 0));
      perByte = Math.max(perByte, by ? 1000 / by.bytesPerSecond : 0);
    }
  return sumMs(ranks, bytes, { latency, perByte });
}

interface Reach {
  /** Milliseconds, and milliseconds for each byte. */
  readonly latency: number;
  readonly perByte: number;
}

const sumMs = (ranks: number, bytes: number, { latency, perByte }: Reach): number =>
  Math.min(
    latency + (ranks - 1) * bytes * perByte,
    Math.ceil(Math.log2(ranks)) * (latency + bytes * perByte),
    2 * (ranks - 1) * latency + (2 * bytes * (ranks - 1) * perByte) / ranks,
  );

/** In no group of so many ranks that this machine is in does an all-reduce take less: as if the others were those nearest to it. */
export function leastSumMs({ machines, ways }: Home, at: number, ranks: number, values: number): number {
  const others = ways[at]?.flatMap((way) => (way ? [[way, way.direct ?? way] as const] : [])) ?? [];
  const nearest = (of: (way: Pick<Way, "latencyMs" | "bytesPerSecond">) => number) =>
    others.map((both) => Math.min(...both.map(of))).sort((a, b) => a - b)[ranks - 2] ??
    Number.POSITIVE_INFINITY;
  const latency = nearest(({ latencyMs }) => latencyMs);
  const perByte = nearest(({ bytesPerSecond }) => 1000 / bytesPerSecond);
  return sumMs(ranks, values * (machines[at]?.activationBytes ?? 4), { latency, perByte });
}

/** RDMA carries the sums of a group where it joins each with each and nothing else is asked for; where it is asked for, nothing else does. */
function sumsBy({ ways, sums = "auto" }: Home, machines: readonly number[]) {
  const direct = (from: number, to: number) => ways[from]?.[to]?.direct;
  const isMesh =
    machines.length <= MESH_MAX &&
    machines.every((from) => machines.every((to) => from === to || direct(from, to)));
  if (sums === "jaccl" || (sums === "auto" && isMesh)) return isMesh ? direct : () => undefined;
  return (from: number, to: number) => ways[from]?.[to];
}
