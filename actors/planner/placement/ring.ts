/**
 * The first exo's rule (its `placement.py`): the fewest machines whose free memory holds the file, of those the set with the most,
 * layers in proportion to free memory. Speed, links and caches play no part. For comparison, and for who wants it.
 */
import type { ModelShape } from "#protocol/model-shape";
import type { Home, Wish } from "../home.ts";
import type { Placement } from "./placement.ts";

/** Undefined where no set of machines suffices, or one of them would get more than it has free. */
export function ringPlacement(
  model: ModelShape,
  home: Home,
  { pinned, minimumNodes }: Pick<Wish, "pinned" | "minimumNodes">,
): Placement | undefined {
  const size = fileBytes(model);
  const set = fewest(home, size, { pinned, minimumNodes });
  if (!set || set.length > model.layers.length) return undefined;
  const free = set.map((at) => home.machines[at]?.freeBytes ?? 0);
  const counts = shares(free, model.layers.length);
  const each = size / model.layers.length;
  if (counts.some((count, at) => count * each > (free[at] ?? 0))) return undefined;
  let start = 0;
  return set.map((machine, at) => {
    const stage = { machines: [machine], start, end: start + (counts[at] ?? 0) };
    start = stage.end;
    return stage;
  });
}

const fileBytes = ({ layers, embeddingBytes, headBytes, tied }: ModelShape): number =>
  layers.reduce((sum, { bytes }) => sum + bytes, headBytes + (tied ? 0 : embeddingBytes));

/** By size, then by free memory: of one size, the machines with the most are the best set. */
function fewest(
  home: Home,
  size: number,
  { pinned, minimumNodes }: Pick<Wish, "pinned" | "minimumNodes">,
): readonly number[] | undefined {
  const byMemory = [...home.machines.keys()].sort(
    (a, b) => (home.machines[b]?.freeBytes ?? 0) - (home.machines[a]?.freeBytes ?? 0),
  );
  const must = byMemory.filter((at) => pinned.includes(at));
  const others = byMemory.filter((at) => !pinned.includes(at));
  for (let count = Math.max(minimumNodes, must.length, 1); count <= byMemory.length; count++) {
    const set = [...must, ...others.slice(0, count - must.length)].sort((a, b) => a - b);
    const free = set.reduce((sum, at) => sum + (home.machines[at]?.freeBytes ?? 0), 0);
    if (free >= size && linked(home, set)) return set;
  }
  return undefined;
}

const linked = (home: Home, set: readonly number[]): boolean =>
  set.length === 1 ||
  set.every((at, place) => home.ways[at]?.[set[(place + 1) % set.length] ?? at] !== undefined);

/** Whole layers by largest remainder; who would get none takes one from who has the most. */
export function shares(weights: readonly number[], layers: number): readonly number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const exact = weights.map((weight) => (weight / total) * layers);
  const counts = exact.map(Math.floor);
  const byRemainder = [...exact.keys()].sort(
    (a, b) => (exact[b] ?? 0) - (counts[b] ?? 0) - ((exact[a] ?? 0) - (counts[a] ?? 0)),
  );
  const left = layers - counts.reduce((sum, count) => sum + count, 0);
  for (const at of byRemainder.slice(0, left)) counts[at] = (counts[at] ?? 0) + 1;
  for (const [at, count] of counts.entries()) {
    if (count > 0) continue;
    const richest = counts.indexOf(Math.max(...counts));
    counts[richest] = (counts[richest] ?? 0) - 1;
    counts[at] = 1;
  }
  return counts;
}
