/** No placement can be faster than this: what a search that is not exact is measured by. */
import type { ModelShape } from "#protocol/model-shape";
import { layerTimes } from "../cost.ts";
import type { Home, Wish } from "../home.ts";
import { kvBytes, layerBytes } from "../memory-estimate.ts";
import { flights } from "./predict.ts";
import { roomOn } from "./units.ts";

/** Milliseconds of a step of all streams. */
export function lowerBoundMs(model: ModelShape, home: Home, wish: Wish, withGroups: boolean): number {
  const bounds = flights(wish.streams).map((inFlight) => {
    const step = { tokens: Math.ceil(wish.streams / inFlight), isPrompt: false };
    const times = home.machines.map((_, at) => layerTimes(model, home, wish, { machines: [at], step }));
    const shared = sharedMs(times.map(prefixSums));
    // As many steps as are in flight, all machines at work on them all the time.
    const busy = inFlight * shared;
    return Math.max(busy, withGroups ? shared : filledMs(model, home, wish, times));
  });
  return Math.min(...bounds);
}

/** Every layer shared by all machines in proportion to their speeds, at no cost; of times before each layer. */
export function sharedMs(times: readonly Float64Array[]): number {
  let sum = 0;
  for (let layer = 1; layer < (times[0]?.length ?? 0); layer++) {
    const speed = times.reduce((all, own) => all + 1 / ((own[layer] ?? 0) - (own[layer - 1] ?? 0)), 0);
    sum += 1 / speed;
  }
  return sum;
}

function prefixSums(values: Float64Array): Float64Array {
  const sums = new Float64Array(values.length + 1);
  for (const [at, value] of values.entries()) sums[at + 1] = (sums[at] ?? 0) + value;
  return sums;
}

/** Layers to the fastest machine until it is full, then to the next, without hops; each counted as its machine's lightest. */
function filledMs(model: ModelShape, home: Home, wish: Wish, times: readonly Float64Array[]): number {
  const lightest = Math.min(
    ...model.layers.map((layer) => layerBytes(model, layer) + kvBytes(model, layer, wish)),
  );
  const machines = times
    .map((own, at) => ({
      ms: Math.min(...own),
      layers: Math.max(0, Math.floor(roomOn(model, home, wish, { at, ranks: 1 }) / lightest)),
    }))
    .sort((a, b) => a.ms - b.ms);
  let [sum, left] = [0, model.layers.length];
  for (const { ms, layers } of machines) {
    const taken = Math.min(left, layers);
    sum += taken * ms;
    left -= taken;
  }
  return left > 0 ? 0 : sum;
}
