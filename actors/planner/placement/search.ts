/** The best placements for a wish, over all strategies that are allowed: exact for small homes, with a stated gap for large ones. */
import type { ModelShape } from "#protocol/model-shape";
import { backMs, hopMs, linkMs } from "../cost.ts";
import type { Home, Wish } from "../home.ts";
import { lowerBoundMs, sharedMs } from "./bound.ts";
import { type Found, fastestPipelines } from "./pipeline.ts";
import { bitsOf, machinesOf } from "./placement.ts";
import { flights, type Prediction, predict } from "./predict.ts";
import type { Unit } from "./search-space.ts";
import { everyGroup, nearGroups } from "./tensor.ts";
import { unitOf } from "./units.ts";

export interface Options {
  /** Stages of one machine alone, several stages, tensor groups: what may be. */
  readonly alone: boolean;
  readonly stages: boolean;
  readonly groups: boolean;
  /** Nothing but several stages, at least one of them a group. */
  readonly mixed?: boolean;
  /** Placements up to so many times slower than the best are listed too; 1: the best alone. */
  readonly slack: number;
}

export interface Outcome {
  /** Fastest first, the best of each set of machines. */
  readonly found: readonly Prediction[];
  readonly exact: boolean;
  /** At most so much slower than the best that can be, as a share; 0 where the search was exact. */
  readonly gap: number;
}

/** Up to so many machines every set, order, cut and group is considered. */
export const EXACT_MAX = 8;
/** Beyond, machines that take part in the search, and partial plans kept: so it ends within a second. */
const [CONSIDERED_MAX, BEAM] = [16, 12];
/** With several steps in flight stages are bounded too and the search takes longer: exact up to so many, with a wider beam beyond. */
const [FLIGHT_EXACT_MAX, FLIGHT_BEAM] = [5, 24];
/** Above rounding. */
const TIE = 1e-9;
/** When two step times count as equal, where a bound on stages is searched for. */
const TOLERANCE = 2e-3;

export function search(model: ModelShape, all: Home, wanted: Wish, options: Options): Outcome {
  const small = all.machines.length <= EXACT_MAX;
  const exact = all.machines.length <= (wanted.streams === 1 ? EXACT_MAX : FLIGHT_EXACT_MAX);
  const members = small ? [...all.machines.keys()] : considered(all, wanted.pinned);
  const home = among(all, members);
  const wish = { ...wanted, pinned: wanted.pinned.map((at) => members.indexOf(at)) };
  const singles = options.alone || options.stages ? members.map((_, at) => [at]) : [];
  const groups = options.groups ? (small ? everyGroup : nearGroups)(model, home) : [];
  const asked: Asked = { model, home, wish, options, candidates: [...singles, ...groups], small, exact };
  const plans = new Map<string, Prediction>();
  const keep = (found: readonly Found[]) => {
    for (const { placement } of found) {
      const placed = placement.map((stage) => ({
        ...stage,
        machines: stage.machines.map((at) => members[at] ?? 0),
      }));
      const made = predict(model, all, wanted, placed);
      const set = machinesOf(placed)
        .toSorted((a, b) => a - b)
        .join();
      if (!(made.stepMs >= (plans.get(set)?.stepMs ?? Number.POSITIVE_INFINITY))) plans.set(set, made);
    }
  };
  // Without groups first: what that finds spares most of the search with them.
  const few = { ...asked, candidates: singles };
  const quick = singles.length > 0 && groups.length > 0 && !options.mixed;
  if (quick) tryFlight(few, 1, keep, () => leastOf(plans));
  for (const inFlight of flights(wish.streams)) tryFlight(asked, inFlight, keep, () => leastOf(plans));
  const found = [...plans.values()].sort((a, b) => a.stepMs - b.stepMs);
  const least = found[0]?.stepMs;
  const bound = exact || least === undefined ? least : lowerBoundMs(model, all, wanted, groups.length > 0);
  return {
    found,
    exact,
    gap: least === undefined || bound === undefined ? 0 : Math.max(0, least / bound - 1),
  };
}

const leastOf = (plans: ReadonlyMap<string, Prediction>): number =>
  Math.min(Number.POSITIVE_INFINITY, ...[...plans.values()].map(({ stepMs }) => stepMs));

interface Asked {
  readonly model: ModelShape;
  readonly home: Home;
  readonly wish: Wish;
  readonly options: Options;
  readonly candidates: readonly (readonly number[])[];
  /** Every set of machines can be looked at. */
  readonly small: boolean;
  readonly exact: boolean;
}

/**
 * With several steps in flight, time is the larger of one step's way through all stages and of the slowest stage for all of them. A
 * plan that keeps both below a bound is a plan of least time whose stages keep below it; the least such bound is found by halving.
 */
function tryFlight(
  asked: Asked,
  inFlight: number,
  keep: (found: readonly Found[]) => void,
  least: () => number,
): void {
  const { model, home, wish, candidates } = asked;
  const step = { tokens: Math.ceil(wish.streams / inFlight), isPrompt: false };
  // The fastest first: what they find spares others' search.
  const units = candidates
    .map((machines) => unitOf(model, home, wish, { machines, step }))
    .sort((a, b) => (a.times.at(-1) ?? 0) - (b.times.at(-1) ?? 0));
  const times = units.flatMap((unit) => (unit.machines.length === 1 ? [unit.times] : []));
  const within = (ms: number, slack: number) => {
    const stageMs = inFlight === 1 ? Number.POSITIVE_INFINITY : ms / inFlight;
    const found = pipelines(asked, units, { tokens: step.tokens, stageMs, withinMs: ms, slack });
    keep(found);
    return found.length > 0;
  };
  if (inFlight === 1) return void within(least() * asked.options.slack * (1 + TIE), asked.options.slack);
  let high = least();
  if (high === Number.POSITIVE_INFINITY) return;
  let low = inFlight * sharedMs(times);
  if (low >= high || !within(high * (1 - TOLERANCE), 0)) return;
  for (high = least(); high - low > TOLERANCE * high; ) {
    const middle = (low + high) / 2;
    if (within(middle, 0)) high = Math.min(middle, least());
    else low = middle;
  }
}

interface Limits {
  readonly tokens: number;
  readonly stageMs: number;
  readonly withinMs: number;
  readonly slack: number;
}

function pipelines(
  { model, home, wish, options, small, exact }: Asked,
  units: readonly Unit[],
  { tokens, stageMs, withinMs, slack }: Limits,
): readonly Found[] {
  const values = tokens * model.hidden;
  const never = Number.POSITIVE_INFINITY;
  const hop = (from: Unit, to: Unit): number => {
    if (!options.stages || linkMs(home, from.machines, to.machines, values) > stageMs) return never;
    return hopMs(home, from.machines, to.machines, values);
  };
  return fastestPipelines({
    units,
    layers: model.layers.length,
    hop,
    back: (from, to) => backMs(home, from.machines, to.machines),
    stageMs,
    withinMs,
    pinned: bitsOf(wish.pinned),
    minimumNodes: wish.minimumNodes,
    mixed: options.mixed ?? false,
    beam: exact || (small && stageMs === never) ? never : small ? FLIGHT_BEAM : BEAM,
    slack,
  });
}

const among = ({ machines, ways, ...how }: Home, members: readonly number[]): Home => ({
  ...how,
  machines: members.flatMap((at) => machines[at] ?? []),
  ways: members.map((from) => members.map((to) => ways[from]?.[to])),
});

/** The pinned, the fastest, and those with the most memory. */
function considered(home: Home, pinned: readonly number[]): readonly number[] {
  const all = [...home.machines.keys()];
  const by = (value: (at: number) => number) => all.toSorted((a, b) => value(b) - value(a));
  const fast = by((at) => home.machines[at]?.speeds.bytesPerSecond ?? 0);
  const large = by((at) => home.machines[at]?.freeBytes ?? 0);
  const mixed = all.flatMap((_, place) => [fast[place] ?? 0, large[place] ?? 0]);
  const chosen = [...new Set([...pinned, ...mixed])].slice(0, Math.max(CONSIDERED_MAX, pinned.length));
  return chosen.sort((a, b) => a - b);
}
