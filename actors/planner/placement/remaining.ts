/** What the layers that are left take at the least, whoever computes them: what a search need not look at follows from it. */
import type { Effort } from "./effort.ts";
import { countBits, GROUPED } from "./placement.ts";
import type { Unit } from "./units.ts";
import { at } from "./window.ts";

export interface Left {
  readonly ground: Ground;
  readonly layers: number;
  /** The most layers that each unit has room for, in memory and in a stage's time. */
  readonly longest: Int16Array;
  /** A plan must have a marked unit. */
  readonly mixed: boolean;
  readonly minimumNodes: number;
  readonly effort: Effort;
}

/** Milliseconds for the layers from each on, by units that share no machine with those used; Infinity where these have no room for them. */
export type Remaining = (used: number) => Float64Array;

/** What of it is so whatever time a stage may take. */
export interface Ground {
  readonly facts: readonly Facts[];
  /** One hop, then each layer by whoever is fastest at it, of those that share no machine with those used. */
  readonly byFastest: Remaining;
}

/** `marks`: machines of each unit, and whether it is one that a plan must have. `entries`: milliseconds to each unit from whichever is nearest to it. */
export function groundOf(
  units: readonly Unit[],
  {
    marks,
    entries,
    layers,
  }: { readonly marks: Int32Array; readonly entries: Float64Array; readonly layers: number },
): Ground {
  const facts = units.map((unit, index) =>
    factsOf(unit, { mark: at(marks, index), entry: at(entries, index), layers }),
  );
  const known = new Map<number, Float64Array>();
  const byFastest: Remaining = (used) => {
    const before = known.get(used);
    if (before) return before;
    const rest = fastest(facts, used, layers);
    known.set(used, rest);
    return rest;
  };
  return { facts, byFastest };
}

/**
 * The largest of some bounds. Each layer by whoever is fastest at it, after one hop. All layers, as light as the lightest, filled into the
 * fastest machines until each is full: there a hop is spread over as many layers as its unit holds, and a group's layers over its machines,
 * and a machine counts with the least time and the most room that any of its units gives it, so that no plan can do better. The same with
 * a layer on a group where a plan needs one, and with one on each of as many machines as a plan needs still.
 */
export function remaining(left: Left): Remaining {
  const known: Float64Array[] = [];
  const { ground, layers, longest, effort } = left;
  const parts = new Parts(layers);
  const able = ground.facts.flatMap((facts, unit) => {
    const most = at(longest, unit);
    return most > 0 ? [{ ...facts, longest: most }] : [];
  });
  return (used) => {
    const place = 2 * (used & ~GROUPED) + ((used & GROUPED) === 0 ? 0 : 1);
    const before = known[place];
    if (before) return before;
    const rest = restOf(able, parts, { ...left, used });
    effort.spend((able.length + BOUND_WORK) * layers);
    known[place] = rest;
    return rest;
  };
}

/** All bounds of a set of machines take as long as the fastest of so many units for each layer. */
const BOUND_WORK = 40;

interface Facts {
  readonly mark: number;
  readonly machines: readonly number[];
  readonly entry: number;
  /** Of each layer. */
  readonly each: Float64Array;
  /** Of the lightest layer; how much more the last one takes. */
  readonly least: number;
  readonly head: number;
}

interface Able extends Facts {
  readonly longest: number;
}

interface About extends Pick<Facts, "mark" | "entry"> {
  readonly layers: number;
}

function factsOf({ machines, times }: Unit, { layers, ...about }: About): Facts {
  const each = new Float64Array(layers);
  for (let layer = 0; layer < layers; layer++) each[layer] = at(times, layer + 1) - at(times, layer);
  const least = each.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  return { ...about, machines, each, least, head: at(each, layers - 1) - least };
}

function restOf(
  able: readonly Able[],
  parts: Parts,
  { ground, layers, mixed, minimumNodes, used }: Left & { readonly used: number },
): Float64Array {
  parts.clear();
  let [head, group] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (const unit of able) {
    if ((unit.mark & used & ~GROUPED) !== 0) continue;
    parts.add(unit);
    head = Math.min(head, unit.head);
    if ((unit.mark & GROUPED) !== 0) group = Math.min(group, unit.least + unit.entry / unit.longest);
  }
  const needed = minimumNodes - countBits(used & ~GROUPED);
  if (needed > parts.count) return new Float64Array(layers + 1).fill(Number.POSITIVE_INFINITY);
  const rest = ground.byFastest(used & ~GROUPED).slice();
  const raise = (sums: Float64Array, more: number, spared: number) => {
    for (let count = 1; count <= layers; count++) {
      const bound = head + more + at(sums, Math.max(0, count - spared));
      if (bound > at(rest, layers - count)) rest[layers - count] = bound;
    }
  };
  const filled = parts.filled(true);
  raise(filled, 0, 0);
  if (mixed && (used & GROUPED) === 0) raise(filled, group, 1);
  if (needed > 1) raise(parts.filled(false), parts.begun(needed), parts.count);
  return rest;
}

/** One hop, then each layer by whoever is fastest at it. */
function fastest(units: readonly Facts[], used: number, layers: number): Float64Array {
  const rest = new Float64Array(layers + 1).fill(Number.POSITIVE_INFINITY);
  let entry = Number.POSITIVE_INFINITY;
  for (const unit of units) {
    if ((unit.mark & used) !== 0) continue;
    entry = Math.min(entry, unit.entry);
    for (let layer = 0; layer < layers; layer++) {
      const ms = at(unit.each, layer);
      if (ms < at(rest, layer)) rest[layer] = ms;
    }
  }
  let sum = entry;
  rest[layers] = 0;
  for (let layer = layers - 1; layer >= 0; layer--) {
    sum += at(rest, layer);
    rest[layer] = sum;
  }
  return rest;
}

/** Machines that are left, each with the best that it has in any of its units. */
class Parts {
  readonly #layers: number;
  /** Milliseconds of a layer, of the hop to it as its share of that, and of a unit of one layer as the machine's share of that. */
  readonly #least = new Float64Array(MACHINES_MAX);
  readonly #entry = new Float64Array(MACHINES_MAX);
  readonly #begin = new Float64Array(MACHINES_MAX);
  /** Layers. */
  readonly #room = new Float64Array(MACHINES_MAX);
  /** Which machines there are, in no order. */
  readonly #there = new Int32Array(MACHINES_MAX);
  readonly #costs = new Float64Array(MACHINES_MAX);
  readonly #sums: Float64Array;
  count = 0;

  constructor(layers: number) {
    this.#layers = layers;
    this.#sums = new Float64Array(layers + 1);
  }

  clear(): void {
    this.count = 0;
    this.#room.fill(0);
  }

  add({ machines, least, entry, longest }: Able): void {
    const [hop, begin, room] = [
      entry / longest,
      (least + entry) / machines.length,
      longest / machines.length,
    ];
    for (const machine of machines) {
      const isNew = at(this.#room, machine) === 0;
      if (isNew) this.#there[this.count++] = machine;
      if (isNew || least < at(this.#least, machine)) this.#least[machine] = least;
      if (isNew || hop < at(this.#entry, machine)) this.#entry[machine] = hop;
      if (isNew || begin < at(this.#begin, machine)) this.#begin[machine] = begin;
      if (room > at(this.#room, machine)) this.#room[machine] = room;
    }
  }

  /** Milliseconds of one layer on each of so many machines, those that begin soonest. */
  begun(needed: number): number {
    this.#sortBy((machine) => at(this.#begin, machine));
    let sum = 0;
    for (let place = 0; place < needed; place++) sum += at(this.#costs, place);
    return sum;
  }

  /** Milliseconds of so many layers; Infinity where there is no room. Until it is asked again. */
  filled(withEntries: boolean): Float64Array {
    this.#sortBy((machine) => at(this.#least, machine) + (withEntries ? at(this.#entry, machine) : 0));
    const [sums, layers] = [this.#sums, this.#layers];
    sums.fill(Number.POSITIVE_INFINITY);
    sums[0] = 0;
    let [full, sum, next] = [0, 0, 1];
    for (let place = 0; place < this.count; place++) {
      const [ms, room] = [at(this.#costs, place), at(this.#room, at(this.#there, place))];
      for (; next <= layers && next <= full + room + SHARE; next++) sums[next] = sum + (next - full) * ms;
      full += room;
      sum += room * ms;
    }
    return sums;
  }

  /** Few enough that each is put in its place among those before. */
  #sortBy(cost: (machine: number) => number): void {
    const [there, costs] = [this.#there, this.#costs];
    for (let from = 0; from < this.count; from++) {
      const machine = at(there, from);
      const ms = cost(machine);
      let place = from;
      for (; place > 0 && at(costs, place - 1) > ms; place--) {
        there[place] = at(there, place - 1);
        costs[place] = at(costs, place - 1);
      }
      there[place] = machine;
      costs[place] = ms;
    }
  }
}

/** Sets of machines are bits of a number that the engine keeps in 32. */
const MACHINES_MAX = 32;

/** What shares of a layer may miss of a whole by rounding. */
const SHARE = 1e-9;
