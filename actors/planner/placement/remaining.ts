/** What the layers that are left take at the least, whoever computes them: what a search need not look at follows from it. */
import type { Effort } from "./effort.ts";
import { countBits, GROUPED } from "./placement.ts";
import type { Unit } from "./units.ts";
import { at } from "./window.ts";

export interface Left {
  readonly units: readonly Unit[];
  /** Machines of each unit, and whether it is one that a plan must have. */
  readonly marks: Int32Array;
  readonly layers: number;
  /** The most layers that each unit has room for, in memory and in a stage's time. */
  readonly longest: Int16Array;
  /** Milliseconds to each unit from whichever is nearest to it. */
  readonly entries: Float64Array;
  /** A plan must have a marked unit. */
  readonly mixed: boolean;
  readonly minimumNodes: number;
  readonly effort: Effort;
}

/** Milliseconds for the layers from each on, by units that share no machine with those used; Infinity where these have no room for them. */
export type Remaining = (used: number) => Float64Array;

/**
 * The largest of some bounds. Each layer by whoever is fastest at it, after one hop. All layers, as light as the lightest, filled into the
 * fastest machines until each is full: there a hop is spread over as many layers as its unit holds, and a group's layers over its machines,
 * and a machine counts with the least time and the most room that any of its units gives it, so that no plan can do better. The same with
 * a layer on a group where a plan needs one, and with one on each of as many machines as a plan needs still.
 */
export function remaining(left: Left): Remaining {
  const known = new Map<number, Float64Array>();
  const facts = left.units.map((unit, at) => factsOf(unit, at, left));
  return (used) => {
    const before = known.get(used);
    if (before) return before;
    const rest = restOf(
      facts.filter(({ mark, longest }) => (mark & used & ~GROUPED) === 0 && longest > 0),
      left,
      used,
    );
    left.effort.spend((facts.length + BOUND_WORK) * left.layers);
    known.set(used, rest);
    return rest;
  };
}

/** All bounds of a set of machines take as long as the fastest of so many units for each layer. */
const BOUND_WORK = 40;

interface Facts {
  readonly mark: number;
  readonly machines: readonly number[];
  readonly longest: number;
  readonly entry: number;
  /** Of each layer. */
  readonly each: Float64Array;
  /** Of the lightest layer; how much more the last one takes. */
  readonly least: number;
  readonly head: number;
}

function factsOf({ machines, times }: Unit, unit: number, { marks, layers, longest, entries }: Left): Facts {
  const each = new Float64Array(layers);
  for (let layer = 0; layer < layers; layer++) each[layer] = at(times, layer + 1) - at(times, layer);
  const least = each.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const head = at(each, layers - 1) - least;
  return {
    mark: at(marks, unit),
    machines,
    longest: at(longest, unit),
    entry: at(entries, unit),
    each,
    least,
    head,
  };
}

function restOf(units: readonly Facts[], { layers, mixed, minimumNodes }: Left, used: number): Float64Array {
  const parts = partsOf(units);
  const needed = minimumNodes - countBits(used & ~GROUPED);
  if (needed > parts.length) return new Float64Array(layers + 1).fill(Number.POSITIVE_INFINITY);
  const rest = byFastest(units, layers);
  const head = least(units.map((unit) => unit.head));
  const raise = (bound: (count: number) => number) => {
    for (let count = 1; count <= layers; count++)
      rest[layers - count] = Math.max(rest[layers - count] ?? 0, head + bound(count));
  };
  const filled = fill(parts, layers, (part) => part.least + part.entry);
  raise((count) => filled[count] ?? 0);
  if (mixed && (used & GROUPED) === 0) {
    const groups = units.filter(({ mark }) => (mark & GROUPED) !== 0);
    const group = least(groups.map((unit) => unit.least + unit.entry / unit.longest));
    raise((count) => group + (filled[count - 1] ?? 0));
  }
  if (needed > 1) {
    const begun = parts.map(({ begin }) => begin).sort((a, b) => a - b);
    const all = begun.slice(0, needed).reduce((sum, ms) => sum + ms, 0);
    const more = fill(parts, layers, (part) => part.least);
    raise((count) => all + (more[Math.max(0, count - parts.length)] ?? 0));
  }
  return rest;
}

const least = (values: readonly number[]): number =>
  values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);

/** One hop, then each layer by whoever is fastest at it. */
function byFastest(units: readonly Facts[], layers: number): Float64Array {
  const rest = new Float64Array(layers + 1).fill(Number.POSITIVE_INFINITY);
  for (const { each } of units)
    for (let layer = 0; layer < layers; layer++) {
      const ms = each[layer] ?? 0;
      if (ms < (rest[layer] ?? 0)) rest[layer] = ms;
    }
  let sum = least(units.map(({ entry }) => entry));
  rest[layers] = 0;
  for (let layer = layers - 1; layer >= 0; layer--) {
    sum += rest[layer] ?? 0;
    rest[layer] = sum;
  }
  return rest;
}

/** The best that a machine has in any of its units. */
interface Part {
  /** Milliseconds of a layer, of the hop to it as its share of that, and of a unit of one layer as the machine's share of that. */
  readonly least: number;
  readonly entry: number;
  readonly begin: number;
  /** Layers. */
  readonly room: number;
}

function partsOf(units: readonly Facts[]): readonly Part[] {
  const parts = new Map<number, Part>();
  for (const { machines, least, entry, longest } of units)
    for (const machine of machines) {
      const before = parts.get(machine);
      const begin = (least + entry) / machines.length;
      const room = longest / machines.length;
      parts.set(
        machine,
        before
          ? {
              least: Math.min(before.least, least),
              entry: Math.min(before.entry, entry / longest),
              begin: Math.min(before.begin, begin),
              room: Math.max(before.room, room),
            }
          : { least, entry: entry / longest, begin, room },
      );
    }
  return [...parts.values()];
}

/** Milliseconds of so many layers; Infinity where there is no room. */
function fill(parts: readonly Part[], layers: number, cost: (part: Part) => number): Float64Array {
  const order = parts.map((part) => ({ ms: cost(part), room: part.room })).sort((a, b) => a.ms - b.ms);
  const sums = new Float64Array(layers + 1).fill(Number.POSITIVE_INFINITY);
  sums[0] = 0;
  let [full, sum, next] = [0, 0, 1];
  for (const { ms, room } of order) {
    for (; next <= layers && next <= full + room + SHARE; next++) sums[next] = sum + (next - full) * ms;
    full += room;
    sum += room * ms;
  }
  return sums;
}

/** What shares of a layer may miss of a whole by rounding. */
const SHARE = 1e-9;
