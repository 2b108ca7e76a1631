/**
 * The fastest order and cut of a pipeline whose stages are machines or tensor groups. A step's time is a sum over layers and hops,
 * so it is found by dynamic programming over (first unit, set of machines used, last unit, layers placed), as Held and Karp find
 * the shortest tour (https://doi.org/10.1137/0110015). The best place for a stage's first layer is the minimum of a window that
 * slides with its last, so that no pair of cuts is ever tried.
 */

import type { Working } from "../work.ts";
import { countBits, GROUPED, type Placement } from "./placement.ts";
import { type Prepared, prepare, type Search } from "./search-space.ts";
import type { Unit } from "./units.ts";
import { at } from "./window.ts";

export interface Found {
  readonly placement: Placement;
  readonly ms: number;
}

/** A partial plan: `times[l - from]` is the least with `l` layers placed and `unit` last, Infinity where that is of no interest. */
interface State {
  readonly unit: number;
  /** Machines, and GROUPED where that matters and a group is among the units. */
  readonly used: number;
  readonly times: Float64Array;
  /** Where the last stage starts, and which of `others` came before it, for each `l - from`; that of all layers comes last. */
  readonly ways: Int32Array;
  readonly others: readonly State[];
  /** The layers between which times are of interest. */
  readonly from: number;
  readonly to: number;
  /** No plan that goes on from here takes less. */
  readonly bound: number;
}

/** The best plan for each set of machines, fastest first; all of them within `slack` of the best are sure to be there. */
export function* fastestPipelines(search: Search): Working<readonly Found[]> {
  const prepared = prepare(search);
  search.effort.spend(search.units.length * (search.units.length + search.layers));
  yield search.effort.piece();
  const best = new Best(search);
  for (const first of search.units.keys()) {
    if (search.effort.isSpent || best.limit === Number.NEGATIVE_INFINITY) break;
    yield* fromFirst(first, prepared, best);
  }
  return best.sorted();
}

function* fromFirst(first: number, search: Prepared, best: Best): Working<void> {
  const { units, layers, marks, earliest, wholeFits, work, effort } = search;
  const used = at(marks, first);
  work.times.fill(Number.POSITIVE_INFINITY);
  work.starts.fill(0);
  work.by.fill(0);
  for (let end = 1; end <= layers; end++)
    if (at(earliest[first], end) === 0) work.times[end] = at(units[first]?.times, end);
  if (wholeFits[first]) work.times[layers] = at(units[first]?.times, layers);
  const whole = search.mixed ? Number.POSITIVE_INFINITY : at(work.times, layers);
  const state = stateOf({ unit: first, used, others: [] }, { search, first, limit: best.limit, whole });
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
    for (const group of kept(levels[count], search.beam)) {
      if (effort.isSpent) return;
      effort.spend(extend(group, { first, search, best, put }));
      yield effort.piece();
    }
}

/** All groups of states of one set of machines, or those with the most promising states. */
function kept(level: Map<number, State[]> | undefined, beam: number): readonly (readonly State[])[] {
  const groups = [...(level?.values() ?? [])];
  if (groups.length <= beam) return groups;
  const promise = new Map(groups.map((group) => [group, Math.min(...group.map(({ bound }) => bound))]));
  return groups.sort((a, b) => (promise.get(a) ?? 0) - (promise.get(b) ?? 0)).slice(0, beam);
}

interface Extending {
  readonly first: number;
  readonly search: Prepared;
  readonly best: Best;
  readonly put: (state: State) => void;
}

/** A stage that is tried takes as long as so many looks at whether it is worth that. */
const STAGE_WORK = 8;

/** Puts each unit that shares no machine after the states of one set; answers how much work that was. */
function extend(group: readonly State[], { first, search, best, put }: Extending): number {
  const { units, layers, bits, marks, backs, work } = search;
  const used = group[0]?.used ?? 0;
  const live = group.filter(({ bound }) => bound < best.limit);
  const rest = search.remaining(used);
  let visited = 0;
  for (let next = 0; next < units.length && live.length > 0; next++) {
    if ((at(bits, next) & used) !== 0) continue;
    const reached = reach(live, next, { search, first, limit: best.limit, rest });
    visited += live.length * layers;
    if (reached[0] > reached[1]) continue;
    place(next, reached, search);
    visited += STAGE_WORK * layers;
    const whole = at(work.times, layers) + at(backs[next], first);
    const about = { unit: next, used: used | at(marks, next), others: live };
    const state = stateOf(about, { search, first, limit: best.limit, whole });
    if (!state) continue;
    best.offer(state, whole);
    put(state);
  }
  return visited;
}

interface Limited {
  readonly search: Prepared;
  readonly first: number;
  readonly limit: number;
}

interface Reaching extends Limited {
  /** What the layers after each take at the least. */
  readonly rest: Float64Array;
}

/** When the state after each layer is at `next`, from whichever state has it there first; between which layers any is in time. */
function reach(
  live: readonly State[],
  next: number,
  { search, first, limit, rest }: Reaching,
): [number, number] {
  const { hops, links, entries, returns, stageMs, layers, work } = search;
  const { reached, coming } = work;
  // What is left counts with the least hop to whoever comes next.
  const spare = limit + at(entries, next) - at(returns, first);
  const latest = limit + at(entries, next);
  let [from, to, count] = [layers, -1, 0];
  for (let index = 0; index < live.length; index++) {
    const state = live[index];
    if (!state || at(links[state.unit], next) > stageMs) continue;
    if (state.bound + at(hops[state.unit], next) >= latest) continue;
    coming[count++] = index;
    from = Math.min(from, state.from);
    to = Math.max(to, state.to);
  }
  reached.fill(Number.POSITIVE_INFINITY, from, to + 1);
  for (let place = 0; place < count; place++) {
    const index = at(coming, place);
    const state = live[index];
    if (state) come(state, { index, hop: at(hops[state.unit], next), rest, spare }, work);
  }
  while (from <= to && reached[from] === Number.POSITIVE_INFINITY) from++;
  while (from <= to && reached[to] === Number.POSITIVE_INFINITY) to--;
  return [from, to];
}

interface Coming {
  /** Of the state. */
  readonly index: number;
  readonly hop: number;
  readonly rest: Float64Array;
  /** Within what it all has to be. */
  readonly spare: number;
}

function come(
  { times, from, to }: State,
  { index, hop, rest, spare }: Coming,
  { reached, by }: Prepared["work"],
): void {
  for (let layer = from; layer <= to; layer++) {
    const ms = (times[layer - from] ?? 0) + hop;
    if (ms >= (reached[layer] ?? 0) || ms + (rest[layer] ?? 0) >= spare) continue;
    reached[layer] = ms;
    by[layer] = index;
  }
}

/** The least time for each end of a stage on `unit` whose layer before was reached between `from` and `to`. */
function place(
  unit: number,
  [from, to]: readonly [number, number],
  { units, earliest, layers, work }: Prepared,
): void {
  const [own, first] = [units[unit]?.times, earliest[unit]];
  if (!own || !first) return;
  const { times, starts, reached, window } = work;
  times.fill(Number.POSITIVE_INFINITY);
  window.clear();
  for (let end = from + 1; end <= layers; end++) {
    if (end - 1 <= to) window.enter(end - 1, (reached[end - 1] ?? 0) - (own[end - 1] ?? 0));
    const start = window.least(first[end] ?? 0);
    if (start < 0) continue;
    times[end] = (reached[start] ?? 0) - (own[start] ?? 0) + (own[end] ?? 0);
    starts[end] = start;
  }
}

interface Judged extends Limited {
  /** Milliseconds of the plan that ends here. */
  readonly whole: number;
}

/** What was worked out, without the ends from which nothing of interest can follow; undefined where nothing is left of it. */
function stateOf(
  { unit, used, others }: Pick<State, "unit" | "used" | "others">,
  { search, first, limit, whole }: Judged,
): State | undefined {
  const { layers, work, remaining, returns, roomWithout } = search;
  const { times, starts, by } = work;
  const rest = remaining(used);
  const room = roomWithout(used);
  const back = at(returns, first);
  let [from, to, bound] = [layers, 0, Number.POSITIVE_INFINITY];
  for (let end = 1; end < layers; end++) {
    const ms = (times[end] ?? 0) + (rest[end] ?? 0) + back;
    if (!(ms < limit) || layers - end > room) {
      times[end] = Number.POSITIVE_INFINITY;
      continue;
    }
    from = Math.min(from, end);
    to = end;
    bound = Math.min(bound, ms);
  }
  if (bound >= limit && whole >= limit) return undefined;
  const wayTo = (end: number) => ((by[starts[end] ?? 0] ?? 0) << WAY_BITS) | (starts[end] ?? 0);
  const ways = new Int32Array(Math.max(0, to - from + 1) + 1);
  for (let end = from; end <= to; end++) ways[end - from] = wayTo(end);
  ways[ways.length - 1] = wayTo(layers);
  return { unit, used, times: times.slice(from, to + 1), ways, others, from, to, bound };
}

/** More layers than that no model has. */
const WAY_BITS = 15;

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
    const { minimumNodes, slack, mixed } = this.#search;
    const pinned = this.#search.pinned | (mixed ? GROUPED : 0);
    const count = countBits(state.used & ~GROUPED);
    if (!(ms < this.limit) || (state.used & pinned) !== pinned || count < minimumNodes) return;
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
    const way: number = at(state.ways, end === layers ? state.ways.length - 1 : end - state.from);
    const start: number = way & ((1 << WAY_BITS) - 1);
    stages.unshift({ machines: units[state.unit]?.machines ?? [], start, end });
    state = state.others[way >> WAY_BITS];
    end = start;
  }
  return stages;
}
