/** The best placement by trying all: every order of machines and groups, every cut. Slow, and so simple that it can be trusted. */
import { hopMs, layerTimes } from "#actors/planner/cost";
import type { Home, Wish } from "#actors/planner/home";
import { shardBytes, usableBytes } from "#actors/planner/memory-estimate";
import type { Placement, Stage } from "#actors/planner/placement/placement";
import { flights, predict } from "#actors/planner/placement/predict";
import { everyGroup } from "#actors/planner/placement/tensor";
import type { ModelShape } from "#protocol/model-shape";

export interface Optimum {
  readonly placement: Placement;
  readonly stepMs: number;
}

/** Of those that `counts` is true of; absent: of all. */
export function exhaustive(
  model: ModelShape,
  home: Home,
  wish: Wish,
  counts: (placement: Placement) => boolean = () => true,
): Optimum | undefined {
  const units = [...home.machines.map((_, at) => [at]), ...everyGroup(model, home)];
  let best: Optimum | undefined;
  const fits = memoryCheck(model, home, wish);
  const offer = (placement: Placement) => {
    if (!counts(placement)) return;
    const { stepMs } = predict(model, home, wish, placement);
    if (Number.isFinite(stepMs) && stepMs < (best?.stepMs ?? Number.POSITIVE_INFINITY))
      best = { placement, stepMs };
  };
  // No step of any number of streams is shorter than that of the fewest tokens that a step in flight has.
  const tokens = Math.ceil(wish.streams / Math.max(...flights(wish.streams)));
  const times = units.map((machines) =>
    layerTimes(model, home, wish, { machines, step: { tokens, isPrompt: false } }),
  );
  const goOn = (stages: readonly Stage[], end: number, ms: number): void => {
    if (end === model.layers.length) offer(stages);
    else go(stages, end, ms);
  };
  const hop = (last: Stage | undefined, machines: readonly number[]) =>
    last ? hopMs(home, last.machines, machines, tokens * model.hidden) : 0;
  const go = (placed: readonly Stage[], start: number, ms: number): void => {
    const used = new Set(placed.flatMap(({ machines }) => machines));
    const free = units.entries().filter(([, machines]) => !machines.some((machine) => used.has(machine)));
    for (const [unit, machines] of free) {
      let sum = ms + hop(placed.at(-1), machines);
      for (let end = start + 1; end <= model.layers.length; end++) {
        sum += times[unit]?.[end - 1] ?? Number.NaN;
        if (sum >= (best?.stepMs ?? Number.POSITIVE_INFINITY)) break;
        if (fits(machines, start, end)) goOn([...placed, { machines, start, end }], end, sum);
      }
    }
  };
  go([], 0, 0);
  return best;
}

function memoryCheck(model: ModelShape, home: Home, wish: Wish) {
  const known = new Map<string, boolean>();
  return (machines: readonly number[], start: number, end: number): boolean => {
    const key = `${machines.join()} ${start} ${end}`;
    const before = known.get(key);
    if (before !== undefined) return before;
    const fits = machines.every((at) => {
      const machine = home.machines[at];
      if (!machine) return false;
      const { activationBytes } = machine;
      const { weights, kv, work } = shardBytes(model, wish, {
        start,
        end,
        ranks: machines.length,
        activationBytes,
      });
      return weights + kv + work <= usableBytes(machine);
    });
    known.set(key, fits);
    return fits;
  };
}
