/**
 * How long a step takes. A layer is as slow as the slower of reading its bytes and doing its arithmetic, as in a roofline
 * (https://doi.org/10.1145/1498765.1498785); hops and collectives are latency and transfer.
 */
import type { ModelShape } from "#protocol/model-shape";
import type { Home, Way, Wish } from "./home.ts";

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
  const { layers, hidden, kvHeads, headDims, experts, headBytes, vocabulary } = model;
  const caches = step.isPrompt ? 1 : step.tokens;
  const chosen = experts ? 1 - (1 - experts.used / experts.count) ** step.tokens : 1;
  const sums = ranks > 1 ? 2 * collectiveMs(home, machines, step.tokens * hidden) : 0;
  const times = new Float64Array(layers.length);
  for (const [at, { bytes, wholeBytes, expertBytes = 0, flops, window }] of layers.entries()) {
    const rows = Math.min(wish.prompt, window ?? wish.prompt);
    const kv = 2 * kvHeads * headDims * wish.kvBytes * rows * caches;
    const read = wholeBytes + (bytes - wholeBytes - expertBytes * (1 - chosen) + kv) / ranks;
    const work = (flops * step.tokens) / ranks;
    const slowest = (head: { read: number; work: number; isLast: boolean }) =>
      Math.max(...machines.map((machine) => machineMs(home, machine, { read, work }, head)));
    const isLast = at === layers.length - 1;
    const positions = step.isPrompt ? 1 : step.tokens;
    times[at] = slowest({ read: headBytes, work: 2 * hidden * vocabulary * positions, isLast }) + sums;
  }
  return times;
}

interface Load {
  readonly read: number;
  readonly work: number;
}

function machineMs(home: Home, at: number, layer: Load, head: Load & { readonly isLast: boolean }): number {
  const speeds = home.machines[at]?.speeds;
  if (!speeds) throw new Error(`no machine ${at} in this home`);
  const { bytesPerSecond, flopsPerSecond, layerMs, stepMs } = speeds;
  const ms = ({ read, work }: Load) => 1000 * Math.max(read / bytesPerSecond, work / flopsPerSecond);
  return ms(layer) + layerMs + (head.isLast ? ms(head) + stepMs : 0);
}

const wayMs = (way: Way | undefined, bytes: number): number =>
  way ? way.latencyMs + (1000 * bytes) / way.bytesPerSecond : Number.POSITIVE_INFINITY;

/** Hidden state of `values` values from one stage to the next: every rank there needs it, the nearest here sends it. */
export function hopMs(home: Home, from: readonly number[], to: readonly number[], values: number): number {
  return Math.max(
    ...to.map((target) =>
      Math.min(
        ...from.map((source) =>
          wayMs(home.ways[source]?.[target], values * (home.machines[source]?.activationBytes ?? 4)),
        ),
      ),
    ),
  );
}

/** How long a hop keeps its link busy: what limits several steps in flight. */
export const linkMs = (home: Home, from: readonly number[], to: readonly number[], values: number): number =>
  hopMs(home, from, to, values) - hopMs(home, from, to, 0);

/** An all-reduce of `values` values, by the best of a one-shot exchange, recursive doubling and a ring (Thakur et al., 2005). */
export function collectiveMs(home: Home, machines: readonly number[], values: number): number {
  const ranks = machines.length;
  const bytes = values * Math.max(...machines.map((at) => home.machines[at]?.activationBytes ?? 4));
  let latency = 0;
  let perByte = 0;
  for (const from of machines)
    for (const to of machines) {
      if (from === to) continue;
      const way = home.ways[from]?.[to];
      latency = Math.max(latency, wayMs(way, 0));
      perByte = Math.max(perByte, way ? 1000 / way.bytesPerSecond : 0);
    }
  return Math.min(
    latency + (ranks - 1) * bytes * perByte,
    Math.ceil(Math.log2(ranks)) * (latency + bytes * perByte),
    2 * (ranks - 1) * latency + (2 * bytes * (ranks - 1) * perByte) / ranks,
  );
}
