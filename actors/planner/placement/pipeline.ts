/**
 * The fastest order and cut of a pipeline whose stages are machines or tensor groups. A step's time is a sum over layers and hops,
 * so it is found by dynamic programming over (first unit, set of machines used, last unit, layers placed), as Held and Karp find
 * the shortest tour (https://doi.org/10.1137/0110015). The best place for a stage's first layer is the minimum of a window that
 * slides with its last, so that no pair of cuts is ever tried.
 */
import { countBits, type Placement } from "./placement.ts";
import { GROUPED, type Prepared, prepare, type Search, type Unit } from "./search-space.ts";
import { at } from "./window.ts";

export interface Found {
  readonly placement: Placement;
  readonly ms: number;
}

/** A partial plan: `times[l]` is the least with `l` layers placed and `unit` last, Infinity where that is of no interest. */
interface State {
  readonly unit: number;
  /** Machines, and GROUPED where that matters and a group is among the units. */
  readonly used: number;
  readonly times: Float64Array;
  /** Where the last stage starts, and which of `others` came before it, for each `l`. */
  readonly starts: Int16Array;
  readonly via: Int16Array;
  readonly others: readonly State[];
  /** The layers between which times are of interest. */
  readonly from: number;
  readonly to: number;
  /** No plan that goes on from here takes less. */
  readonly bound: number;
}

/** The best plan for each set of machines, fastest first; all of them within `slack` of the best are sure to be there. */
export function fastestPipelines(search: Search): readonly Found[] {
  const prepared = prepare(search);
  const best = new Best(search);
  for (const first of search.units.keys()) fromFirst(first, prepared, best);
  return best.sorted();
}

function fromFirst(first: number, search: Prepared, best: Best): void {
  const { units, layers, marks, earliest, wholeFits, work } = search;
  const used = at(marks, first);
  work.times.fill(Number.POSITIVE_INFINITY);
  work.starts.fill(0);
  work.by.fill(0);
  for (let end = 1; end <= layers; end++)
    if (at(earliest[first], end) === 0) work.times[end] = at(units[first]?.times, end);
  if (wholeFits[first]) work.times[layers] = at(units[first]?.times, layers);
  const whole = search.mixed ? Number.POSITIVE_INFINITY : at(work.times, layers);
  const state = stateOf(first, used, [], { search, limit: best.limit, whole });
  if (!state) return;
  best.offer(state, whole);
  const levels: Map<number, State[]>[] = [];
  const put = (made: State) => {
    if (made.bound >= best.limit) return;
    const count = countBits(made.used);
    levels[count] ??= new Map();
    const same = levels[count].get(made.used);
    if (same) same.push(made);
    else levels[count].set(made.used, [made]);
  };
  put(state);
  for (let count = 1; count < levels.length; count++)
    for (const group of kept(levels[count], search.beam)) extend(group, { first, search, best, put });
}

/** All groups of states of one set of machines, or those with the most promising states. */
function kept(level: Map<number, State[]> | undefined, beam: number): readonly (readonly State[])[] {
  const groups = [...(level?.values() ?? [])];
  const promise = (group: readonly State[]) => Math.min(...group.map(({ bound }) => bound));
  return groups.length <= beam ? groups : groups.sort((a, b) => promise(a) - promise(b)).slice(0, beam);
}

interface Extending {
  readonly first: number;
  readonly search: Prepared;
  readonly best: Best;
  readonly put: (state: State) => void;
}

/** Puts each unit that shares no machine after the states of one set. */
function extend(group: readonly State[], { first, search, best, put }: Extending): void {
  const { units, layers, bits, marks, backs, work } = search;
  const used = group[0]?.used ?? 0;
  const live = group.filter(({ bound }) => bound < best.limit);
  if (live.length === 0) return;
  for (const next of units.keys()) {
    if ((at(bits, next) & used) !== 0) continue;
    const [from, to] = reach(live, next, search);
    if (from > to) continue;
    place(next, [from, to], search);
    const whole = at(work.times, layers) + at(backs[next], first);
    const state = stateOf(next, used | at(marks, next), live, { search, limit: best.limit, whole });
    if (!state) continue;
    best.offer(state, whole);
    put(state);
  }
}

/** When the state after each layer is at `next`, from whichever state has it there first; between which layers any is. */
function reach(
  live: readonly State[],
  next: number,
  { hops, layers, work: { reached, by } }: Prepared,
): readonly [number, number] {
  let [least, most] = [layers, 0];
  reached.fill(Number.POSITIVE_INFINITY);
  for (const [index, { unit, times, from, to }] of live.entries()) {
    const hop = at(hops[unit], next);
    if (hop === Number.POSITIVE_INFINITY) continue;
    for (let layer = from; layer <= to; layer++) {
      const ms = at(times, layer) + hop;
      if (ms >= at(reached, layer)) continue;
      reached[layer] = ms;
      by[layer] = index;
    }
    least = Math.min(least, from);
    most = Math.max(most, to);
  }
  return [least, most];
}

/** The least time for each end of a stage on `unit` whose layer before was reached between `from` and `to`. */
function place(
  unit: number,
  [from, to]: readonly [number, number],
  { units, earliest, layers, work }: Prepared,
): void {
  const own = units[unit]?.times;
  const { times, starts, reached, window } = work;
  times.fill(Number.POSITIVE_INFINITY);
  window.clear();
  for (let end = from + 1; end <= layers; end++) {
    if (end - 1 <= to) window.enter(end - 1, at(reached, end - 1) - at(own, end - 1));
    const start = window.least(at(earliest[unit], end));
    if (start < 0) continue;
    times[end] = at(reached, start) - at(own, start) + at(own, end);
    starts[end] = start;
  }
}

interface Judged {
  readonly search: Prepared;
  readonly limit: number;
  /** Milliseconds of the plan that ends here. */
  readonly whole: number;
}

/** What was worked out, without the ends from which nothing of interest can follow; undefined where nothing is left of it. */
function stateOf(
  unit: number,
  used: number,
  others: readonly State[],
  { search: { layers, work, restWithout, roomWithout }, limit, whole }: Judged,
): State | undefined {
  const { times, starts, by } = work;
  const rest = restWithout(used);
  const room = roomWithout(used);
  let [from, to, bound] = [layers, 0, Number.POSITIVE_INFINITY];
  for (let end = 1; end < layers; end++) {
    const ms = at(times, end) + at(rest, end);
    if (!(ms < limit) || layers - end > room) {
      times[end] = Number.POSITIVE_INFINITY;
      continue;
    }
    from = Math.min(from, end);
    to = end;
    bound = Math.min(bound, ms);
  }
  if (bound >= limit && whole >= limit) return undefined;
  const via = Int16Array.from(starts, (start) => at(by, start));
  return { unit, used, times: times.slice(), starts: starts.slice(), via, others, from, to, bound };
}

/** The best whole plan of each set of machines so far. */
class Best {
  /** Nothing slower is of interest. */
  limit: number;
  readonly #search: Search;
  readonly #found = new Map<number, { readonly state: State; readonly ms: number }>();
  #least = Number.POSITIVE_INFINITY;

  constructor(search: Search) {
    this.#search = search;
    this.limit = search.withinMs;
  }

  offer(state: State, ms: number): void {
    const { minimumNodes, slack, layers, mixed } = this.#search;
    const pinned = this.#search.pinned | (mixed ? GROUPED : 0);
    const count = countBits(state.used & ~GROUPED);
    if (!(ms < this.limit) || (state.used & pinned) !== pinned || count < minimumNodes) return;
    if ((state.times[layers] ?? 0) === Number.POSITIVE_INFINITY) return;
    const known = this.#found.get(state.used);
    if (known && known.ms <= ms) return;
    this.#found.set(state.used, { state, ms });
    if (ms >= this.#least) return;
    this.#least = ms;
    this.limit = slack === 0 ? Number.NEGATIVE_INFINITY : Math.min(this.limit, ms * slack);
  }

  sorted(): readonly Found[] {
    const { units, layers, slack } = this.#search;
    return [...this.#found.values()]
      .filter(({ ms }) => slack === 0 || ms <= this.limit)
      .sort((a, b) => a.ms - b.ms)
      .map(({ state, ms }) => ({ ms, placement: placementOf(state, units, layers) }));
  }
}

function placementOf(last: State, units: readonly Unit[], layers: number): Placement {
  const stages = [];
  let end = layers;
  for (let state: State | undefined = last; state; ) {
    const start: number = state.starts[end] ?? 0;
    stages.unshift({ machines: units[state.unit]?.machines ?? [], start, end });
    state = state.others[at(state.via, end)];
    end = start;
  }
  return stages;
}
