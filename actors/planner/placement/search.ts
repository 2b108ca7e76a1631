/** The best placements for a wish, over all strategies that are allowed: exact for small homes, with a stated gap for large ones. */
import type { ModelShape } from "#protocol/model-shape";
import { hopMs } from "../cost.ts";
import type { Home, Wish } from "../home.ts";
import { finished, type Working } from "../work.ts";
import { lowerBoundMs, sharedMs } from "./bound.ts";
import { Effort } from "./effort.ts";
import { type Found, fastestPipelines } from "./pipeline.ts";
import { bitsOf, machinesOf } from "./placement.ts";
import { flights, type Prediction, predict } from "./predict.ts";
import { fixedOf, type Search } from "./search-space.ts";
import { everyGroup, nearGroups } from "./tensor.ts";
import { type Unit, unitOf } from "./units.ts";

export interface Options {
  /** Stages of one machine alone, several stages, tensor groups: what may be. */
  readonly alone: boolean;
  readonly stages: boolean;
  readonly groups: boolean;
  /** Nothing but several stages, at least one of them a group. */
  readonly mixed?: boolean;
  /** Placements up to so many times slower than the best are listed too; 1: the best alone. */
  readonly slack: number;
  /** What all searches of one plan may take together; absent: what one may. */
  readonly effort?: Effort;
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
/** Beyond, machines that take part in the search, and partial plans kept. */
const [CONSIDERED_MAX, BEAM] = [16, 12];
/**
 * What a search may take, in layers looked at: a fifth of a second of a core (measured: 1.2 million a millisecond, a third of that where it
 * had others to serve). Eight machines take less as a rule: of 442 random homes with four answers and mixed groups four took more, a quarter more at the
 * most. Sixteen that all have to take part can take six times as much, which found nothing better by more than 5.5 %.
 */
export const EFFORT_MAX = 200e6;
/** A look at the most promising: what it finds spares most of the search proper. */
const FIRST_BEAM = 2;
/** Above rounding. */
const TIE = 1e-9;
/** When two step times count as equal, where a bound on stages is searched for. */
const TOLERANCE = 2e-3;

export const search = (model: ModelShape, all: Home, wanted: Wish, options: Options): Outcome =>
  finished(searching(model, all, wanted, options));

/** The same in pieces. */
export function* searching(model: ModelShape, all: Home, wanted: Wish, options: Options): Working<Outcome> {
  const small = all.machines.length <= EXACT_MAX;
  const { effort = new Effort(EFFORT_MAX) } = options;
  const members = small ? [...all.machines.keys()] : considered(all, wanted.pinned);
  const home = among(all, members);
  const wish = { ...wanted, pinned: wanted.pinned.map((at) => members.indexOf(at)) };
  const singles = options.alone || options.stages ? members.map((_, at) => [at]) : [];
  const groups = options.groups ? (small ? everyGroup : nearGroups)(model, home) : [];
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
  const asked: Asked = {
    ...{ model, home, wish, options, effort, keep },
    candidates: [...singles, ...groups],
    least: () => Math.min(Number.POSITIVE_INFINITY, ...[...plans.values()].map(({ stepMs }) => stepMs)),
    beam: small ? Number.POSITIVE_INFINITY : BEAM,
  };
  if (options.mixed !== true || groups.length > 0) yield* tryAll(asked, singles);
  const found = [...plans.values()].sort((a, b) => a.stepMs - b.stepMs);
  const least = found[0]?.stepMs;
  const exact = small && !effort.isSpent;
  const bound = exact || least === undefined ? least : lowerBoundMs(model, all, wanted, options.groups);
  return {
    found,
    exact,
    gap: least === undefined || bound === undefined ? 0 : Math.max(0, least / bound - 1),
  };
}

interface Asked {
  readonly model: ModelShape;
  readonly home: Home;
  readonly wish: Wish;
  readonly options: Options;
  readonly effort: Effort;
  readonly candidates: readonly (readonly number[])[];
  /** Partial plans kept. */
  readonly beam: number;
  readonly keep: (found: readonly Found[]) => void;
  /** Milliseconds of the best that is kept. */
  readonly least: () => number;
}

/** All with few partial plans first, and without groups before with them: what that finds spares most of the search proper. */
function* tryAll(asked: Asked, singles: Asked["candidates"]): Working<void> {
  const { candidates, options, wish, beam } = asked;
  const hasGroups = singles.length < candidates.length;
  const alone = yield* flightOf(asked, singles, 1);
  if (hasGroups && !options.mixed) yield* least(alone, { beam: FIRST_BEAM, slack: 1 });
  const one = hasGroups ? yield* flightOf(asked, candidates, 1) : alone;
  yield* least(one, { beam: FIRST_BEAM, slack: 1 });
  const several: Flight[] = [];
  for (const inFlight of flights(wish.streams).toReversed())
    if (inFlight > 1) several.push(yield* flightOf(asked, candidates, inFlight));
  for (const flight of several) yield* halve(flight, FIRST_BEAM);
  for (const flight of several) yield* halve(flight, beam);
  yield* least(one, { beam, slack: options.slack });
}

/** So many steps in flight, each of its part of the streams. */
interface Flight extends Pick<Asked, "keep" | "least"> {
  readonly inFlight: number;
  readonly search: Omit<Search, "stageMs" | "withinMs" | "beam" | "slack">;
}

function* flightOf(asked: Asked, candidates: Asked["candidates"], inFlight: number): Working<Flight> {
  const { model, home, wish, options, effort } = asked;
  const layers = model.layers.length;
  const step = { tokens: Math.ceil(wish.streams / inFlight), isPrompt: false };
  const units: Unit[] = [];
  for (const machines of candidates) {
    units.push(unitOf(model, home, wish, { machines, step }));
    effort.spend(layers * machines.length);
    yield effort.piece();
  }
  // The fastest first: what they find spares others' search.
  units.sort((a, b) => (a.times.at(-1) ?? 0) - (b.times.at(-1) ?? 0));
  const tables = tablesOf(
    home,
    units,
    options.stages ? step.tokens * model.hidden : Number.POSITIVE_INFINITY,
  );
  effort.spend(home.machines.length * units.length);
  yield effort.piece();
  const { minimumNodes } = wish;
  const mixed = options.mixed ?? false;
  const search = { units, layers, ...tables, pinned: bitsOf(wish.pinned), minimumNodes, mixed, effort };
  return { ...asked, inFlight, search: { ...search, fixed: fixedOf(search) } };
}

function tablesOf(
  home: Home,
  units: readonly Unit[],
  values: number,
): Pick<Search, "hops" | "links" | "backs"> {
  const from = (count: number) =>
    home.machines.map((_, source) =>
      Float64Array.from(units, ({ machines }) => hopMs(home, [source], machines, count)),
    );
  const [state, token] = [from(values), from(0)];
  const links = state.map((row, source) => row.map((ms, to) => ms - (token[source]?.[to] ?? 0)));
  const of = (rows: readonly Float64Array[], rank: number) =>
    units.map(({ machines }) => rows[machines.at(rank) ?? 0] ?? new Float64Array());
  return { hops: of(state, 0), links: of(links, 0), backs: of(token, -1) };
}

function* least(
  { search, keep, least: leastMs }: Flight,
  { beam, slack }: Pick<Search, "beam" | "slack">,
): Working<void> {
  const withinMs = leastMs() * slack * (1 + TIE);
  const stageMs = Number.POSITIVE_INFINITY;
  keep(yield* fastestPipelines({ ...search, stageMs, withinMs, beam, slack }));
}

/**
 * With several steps in flight, time is the larger of one step's way through all stages and of the slowest stage for all of them. A
 * plan that keeps both below a bound is a plan of least time whose stages keep below it; the least such bound is found by halving.
 */
function* halve({ search, inFlight, keep, least: leastMs }: Flight, beam: number): Working<void> {
  const within = function* (withinMs: number): Working<boolean> {
    const stageMs = withinMs / inFlight;
    const found = yield* fastestPipelines({ ...search, stageMs, withinMs, beam, slack: 0 });
    keep(found);
    return found.length > 0;
  };
  const alone = search.units.flatMap((unit) => (unit.machines.length === 1 ? [unit.times] : []));
  let high = leastMs();
  let low = inFlight * sharedMs(alone);
  if (low >= high || !(yield* within(high * (1 - TOLERANCE)))) return;
  for (high = leastMs(); high - low > TOLERANCE * high && !search.effort.isSpent; ) {
    const middle = (low + high) / 2;
    if (yield* within(middle)) high = Math.min(middle, leastMs());
    else low = middle;
  }
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
