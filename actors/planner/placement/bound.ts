/** No placement can be faster than this: what a search that is not exact is measured by. */
import type { ModelShape } from "#protocol/model-shape";
import { layerTimes, leastSumMs, type Step } from "../cost.ts";
import type { Home, Wish } from "../home.ts";
import { kvBytes, layerBytes } from "../memory-estimate.ts";
import { flights } from "./predict.ts";
import { indivisible } from "./tensor.ts";
import { roomOn } from "./units.ts";

/** Milliseconds of a step of all streams. */
export function lowerBoundMs(model: ModelShape, home: Home, wish: Wish, withGroups: boolean): number {
  const sizes = home.machines.flatMap((_, at) =>
    at === 0 || (withGroups && !indivisible(model, at + 1)) ? [at + 1] : [],
  );
  const bounds = flights(wish.streams).map((inFlight) => {
    const step = { tokens: Math.ceil(wish.streams / inFlight), isPrompt: false };
    const times = home.machines.map((_, at) => layerTimes(model, home, wish, { machines: [at], step }));
    const shared = sharedMs(times.map(prefixSums));
    // As many steps as are in flight, all machines at work on them all the time.
    const busy = inFlight * shared;
    return Math.max(busy, filledMs(model, home, wish, { step, sizes }));
  });
  return Math.min(...bounds);
}

/**
 * No way to share the layers has all machines busy for less; of times before each layer; 0 of none. Whoever is busy longest is so for at least the mean
 * of all, each weighed by how fast it is with the whole model, and in that mean every layer counts as on the machine where it counts least.
 */
export function sharedMs(times: readonly Float64Array[]): number {
  const speeds = times.map((own) => 1 / (own.at(-1) ?? 0));
  const all = speeds.reduce((sum, speed) => sum + speed, 0);
  let sum = 0;
  for (let layer = 1; layer < (times[0]?.length ?? 0); layer++)
    sum += Math.min(
      ...times.map((own, at) => ((own[layer] ?? 0) - (own[layer - 1] ?? 0)) * (speeds[at] ?? 0)),
    );
  return times.length > 0 ? sum / all : 0;
}

function prefixSums(values: Float64Array): Float64Array {
  const sums = new Float64Array(values.length + 1);
  for (const [at, value] of values.entries()) sums[at + 1] = (sums[at] ?? 0) + value;
  return sums;
}

interface Filling {
  readonly step: Step;
  /** Ranks that stages may have. */
  readonly sizes: readonly number[];
}

/**
 * Layers to the fastest machine until it is full, then to the next, without hops; each counted as its machine's lightest. A machine of a
 * group has its share of as many layers, with no rank slower than itself; of all groups it counts with the fastest and the largest.
 */
function filledMs(model: ModelShape, home: Home, wish: Wish, { step, sizes }: Filling): number {
  const machines = home.machines
    .map((_, at) => {
      const units = sizes.map((ranks) => {
        const own = layerTimes(model, home, wish, {
          machines: Array.from({ length: ranks }, () => at),
          step,
        });
        const sums = ranks > 1 ? 2 * leastSumMs(home, at, ranks, step.tokens * model.hidden) : 0;
        const lightest = Math.min(
          ...model.layers.map(
            (layer) => layerBytes(model, layer, ranks) + kvBytes(model, layer, wish, ranks),
          ),
        );
        const room = Math.max(0, Math.floor(roomOn(model, home, wish, { at, ranks }) / lightest));
        return { ms: Math.min(...own) + sums, layers: room / ranks };
      });
      const layers = Math.max(...units.map((unit) => unit.layers));
      return { ms: Math.min(...units.map(({ ms }) => ms)), layers };
    })
    .sort((a, b) => a.ms - b.ms);
  let [sum, left] = [0, model.layers.length];
  for (const { ms, layers } of machines) {
    const taken = Math.min(left, layers);
    sum += taken * ms;
    left -= taken;
  }
  return left > SHARE ? 0 : sum;
}

/** What shares of a layer may miss of a whole by rounding. */
const SHARE = 1e-9;
