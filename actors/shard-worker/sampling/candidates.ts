/** The filters that narrow the vocabulary before a token is drawn. Ties go to the smaller id. */
import type { Passes } from "./passes.ts";

/** Nucleus sampling (https://arxiv.org/abs/1904.09751): the best tokens until their probabilities reach `share`. */
export function nucleus(
  logits: Float32Array,
  { normaliser, share }: { readonly normaliser: number; readonly share: number },
  passes: Passes,
): number[] {
  for (const floor of FLOORS) {
    const least = floor === 0 ? Number.NEGATIVE_INFINITY : normaliser + Math.log(floor);
    const ids = passes.atLeast(logits, least);
    const mass = ids.reduce((sum, id) => sum + Math.exp((logits[id] ?? 0) - normaliser), 0);
    if ((mass >= share && ids.length > 0) || floor === 0) return cut(ids, logits, normaliser, share);
  }
  return [];
}
/** Tokens are sorted from this probability up; where those do not make up the share, from the next. */
const FLOORS = [1e-3, 1e-5, 1e-7, 0];

/** The best of `ids` until they reach `share`. Numbers sort ten times as fast as ids by a comparison do. */
function cut(ids: readonly number[], logits: Float32Array, normaliser: number, share: number): number[] {
  const rising = Float32Array.from(ids, (id) => logits[id] ?? 0).sort();
  let mass = 0;
  let count = 0;
  while (count < rising.length && (count === 0 || mass < share)) {
    count++;
    mass += Math.exp((rising.at(-count) ?? 0) - normaliser);
  }
  const least = rising.at(-count) ?? 0;
  return ids
    .filter((id) => (logits[id] ?? 0) >= least)
    .sort(falling(logits))
    .slice(0, count);
}

/** Tokens at least so probable as the share of the best that `least` is (https://arxiv.org/abs/2407.01082). */
export const likely = (
  logits: Float32Array,
  ids: readonly number[] | undefined,
  { least, passes }: { readonly least: number; readonly passes: Passes },
): number[] => (ids ? ids.filter((id) => (logits[id] ?? 0) >= least) : passes.atLeast(logits, least));

/** The `count` best of `ids` (undefined: of all), falling. */
export function best(logits: Float32Array, ids: readonly number[] | undefined, count: number): number[] {
  if (count <= 0) return [];
  const order = falling(logits);
  const heap: number[] = [];
  const total = ids ? ids.length : logits.length;
  for (let i = 0; i < total; i++) offer(heap, ids ? (ids[i] ?? 0) : i, count, order);
  return heap.sort(order);
}

/** Keeps the `count` best in a heap whose root is the worst of them: one comparison rules out almost every token. */
function offer(heap: number[], id: number, count: number, order: Order): void {
  if (heap.length < count) {
    heap.push(id);
    if (heap.length === count) for (let at = count >> 1; at >= 0; at--) sink(heap, at, order);
  } else if (order(id, heap[0] ?? 0) < 0) {
    heap[0] = id;
    sink(heap, 0, order);
  }
}

type Order = (a: number, b: number) => number;

const falling =
  (logits: Float32Array): Order =>
  (a, b) =>
    (logits[b] ?? 0) - (logits[a] ?? 0) || a - b;

/** Lets the entry at `at` sink below every worse one. */
function sink(heap: number[], at: number, order: Order): void {
  let here = at;
  for (;;) {
    let worst = here;
    for (const child of [2 * here + 1, 2 * here + 2]) {
      if (child < heap.length && order(heap[child] ?? 0, heap[worst] ?? 0) > 0) worst = child;
    }
    if (worst === here) return;
    [heap[here], heap[worst]] = [heap[worst] ?? 0, heap[here] ?? 0];
    here = worst;
  }
}
