/** What a search for pipelines works on: units with their limits, and what can be known of all plans beforehand. */
import type { Effort } from "./effort.ts";
import { bitsOf, GROUPED } from "./placement.ts";
import { type Ground, groundOf, type Remaining, remaining } from "./remaining.ts";
import type { Unit } from "./units.ts";
import { at, Window } from "./window.ts";

/** Milliseconds from each unit to each. */
export type Table = readonly Float64Array[];

export interface Search {
  readonly units: readonly Unit[];
  readonly layers: number;
  /** Of hidden state from one unit to the next: until it is there, and how long its link is busy with it. */
  readonly hops: Table;
  readonly links: Table;
  /** Of the new token from the last to the first. */
  readonly backs: Table;
  /** No stage may take longer: Infinity for one stream. */
  readonly stageMs: number;
  /** Only plans faster than this are of interest. */
  readonly withinMs: number;
  readonly pinned: number;
  readonly minimumNodes: number;
  /** Nothing but several stages, at least one of them a group. */
  readonly mixed: boolean;
  /** Partial plans kept for each number of machines; Infinity makes the search exact. */
  readonly beam: number;
  /** Plans up to so many times slower than the best are found too; 1: the best alone; 0: any one that is within. */
  readonly slack: number;
  readonly effort: Effort;
  readonly fixed: Fixed;
}

/** What is so whatever time a stage may take: worked out once where one bound after another is tried. */
export interface Fixed {
  readonly bits: Int32Array;
  /** The same, with GROUPED of groups where one has to be there: plans with and without are then kept apart. */
  readonly marks: Int32Array;
  /** The least hop to each unit, and the least way back to it. */
  readonly entries: Float64Array;
  readonly returns: Float64Array;
  readonly ground: Ground;
}

export interface Prepared extends Search, Fixed {
  /** The earliest first layer of a stage of each unit that ends at each layer. */
  readonly earliest: readonly Int16Array[];
  readonly wholeFits: readonly boolean[];
  readonly remaining: Remaining;
  /** At most so many layers have room, in memory and in a stage's time, on machines not used. */
  readonly roomWithout: (used: number) => number;
  readonly work: Work;
}

/** Written anew for each stage that is tried. */
interface Work {
  readonly reached: Float64Array;
  readonly by: Int16Array;
  /** Which states of one set may come in time: at most two end on each unit, from sets with a group and without. */
  readonly coming: Int32Array;
  readonly times: Float64Array;
  readonly starts: Int16Array;
  readonly window: Window;
}

export function fixedOf({
  units,
  layers,
  hops,
  backs,
  mixed,
}: Pick<Search, "units" | "layers" | "hops" | "backs" | "mixed">): Fixed {
  const bits = Int32Array.from(units, ({ machines }) => bitsOf(machines));
  const marks = Int32Array.from(
    units,
    ({ machines }) => bitsOf(machines) | (mixed && machines.length > 1 ? GROUPED : 0),
  );
  const entries = leastTo(hops, bits);
  const ground = groundOf(units, { marks, entries, layers });
  return { bits, marks, entries, returns: leastTo(backs, bits), ground };
}

export function prepare(search: Search): Prepared {
  const { units, layers, stageMs, mixed, minimumNodes, effort, fixed } = search;
  const earliest = units.map((unit) => earliestStarts(unit, layers, stageMs));
  const longest = Int16Array.from(earliest, (starts) =>
    starts.reduce((most, start, end) => Math.max(most, end - start), 0),
  );
  return {
    ...search,
    ...fixed,
    earliest,
    wholeFits: units.map(
      ({ bytes, times, room, savedWhole }) =>
        (bytes[layers] ?? 0) - savedWhole <= room && (times[layers] ?? 0) <= stageMs,
    ),
    remaining: remaining({ ground: fixed.ground, layers, longest, mixed, minimumNodes, effort }),
    roomWithout: rooms(fixed.bits, longest) ?? (() => layers),
    work: {
      reached: new Float64Array(layers + 1),
      by: new Int16Array(layers + 1),
      coming: new Int32Array(2 * units.length),
      times: new Float64Array(layers + 1),
      starts: new Int16Array(layers + 1),
      window: new Window(layers),
    },
  };
}

/** From any other that shares no machine. */
const leastTo = (table: Table, bits: Int32Array): Float64Array =>
  Float64Array.from(bits, (own, to) => {
    let least = Number.POSITIVE_INFINITY;
    for (let from = 0; from < table.length; from++)
      if ((at(bits, from) & own) === 0) least = Math.min(least, at(table[from], to));
    return least;
  });

/** Of more machines than eight, looking at all sets takes longer than it saves. */
const SETS_MAX = 256;

/** Of each set of machines the most that any units of it take together, each its longest stage. */
function rooms(bits: Int32Array, longest: Int16Array): Prepared["roomWithout"] | undefined {
  const all = bits.reduce((union, own) => union | own, 0);
  if (all >= SETS_MAX) return undefined;
  const most = new Int32Array(all + 1);
  for (let set = 1; set <= all; set++) {
    const lowest = set & -set;
    let best = at(most, set ^ lowest);
    for (let unit = 0; unit < bits.length; unit++) {
      const own = at(bits, unit);
      if ((own & lowest) !== 0 && (own & ~set) === 0)
        best = Math.max(best, at(longest, unit) + at(most, set ^ own));
    }
    most[set] = best;
  }
  return (used) => at(most, all & ~used);
}

function earliestStarts({ bytes, times, room }: Unit, layers: number, stageMs: number): Int16Array {
  const earliest = new Int16Array(layers + 1);
  for (let end = 1, start = 0; end <= layers; end++) {
    while (
      start < end &&
      ((bytes[end] ?? 0) - (bytes[start] ?? 0) > room || (times[end] ?? 0) - (times[start] ?? 0) > stageMs)
    )
      start++;
    earliest[end] = start;
  }
  return earliest;
}
