/** What a search for pipelines works on: units with their limits, and what can be known of all plans beforehand. */
import { bitsOf } from "./placement.ts";
import { at, Window } from "./window.ts";

/** A machine, or a tensor group that acts as one. */
export interface Unit {
  readonly machines: readonly number[];
  /** Milliseconds of the layers before each: `times[end] - times[start]`. */
  readonly times: Float64Array;
  /** The same of bytes in each member's memory. */
  readonly bytes: Float64Array;
  /** Bytes that the tightest member has for those. */
  readonly room: number;
  /** Saved by who has both ends of a tied model. */
  readonly savedWhole: number;
}

export interface Search {
  readonly units: readonly Unit[];
  readonly layers: number;
  /** Milliseconds from one unit to the next, and of the new token from the last to the first. */
  readonly hop: (from: Unit, to: Unit) => number;
  readonly back: (from: Unit, to: Unit) => number;
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
}

/** Beside the bits of machines, of which fewer take part in a search: a group is among those used. */
export const GROUPED = 1 << 30;

export interface Prepared extends Search {
  readonly bits: Int32Array;
  /** The same, with GROUPED of groups where one has to be there: plans with and without are then kept apart. */
  readonly marks: Int32Array;
  readonly hops: readonly Float64Array[];
  readonly backs: readonly Float64Array[];
  /** The earliest first layer of a stage of each unit that ends at each layer. */
  readonly earliest: readonly Int16Array[];
  readonly wholeFits: readonly boolean[];
  /** At least so long for the layers from each on, by units that share no machine with those used. */
  readonly restWithout: (used: number) => Float64Array;
  /** At most so many layers have room, in memory and in a stage's time, on machines not used. */
  readonly roomWithout: (used: number) => number;
  readonly work: Work;
}

/** Written anew for each stage that is tried. */
interface Work {
  readonly reached: Float64Array;
  readonly by: Int16Array;
  readonly times: Float64Array;
  readonly starts: Int16Array;
  readonly window: Window;
}

export function prepare(search: Search): Prepared {
  const { units, layers, hop, back, stageMs, mixed } = search;
  const bits = Int32Array.from(units, ({ machines }) => bitsOf(machines));
  const earliest = units.map((unit) => earliestStarts(unit, layers, stageMs));
  const table = (cost: Search["hop"]) =>
    units.map((from) => Float64Array.from(units, (to) => cost(from, to)));
  return {
    ...search,
    bits,
    marks: bits.map((own, at) => (mixed && (units[at]?.machines.length ?? 0) > 1 ? own | GROUPED : own)),
    hops: table(hop),
    backs: table(back),
    earliest,
    wholeFits: units.map(
      ({ bytes, times, room, savedWhole }) =>
        (bytes[layers] ?? 0) - savedWhole <= room && (times[layers] ?? 0) <= stageMs,
    ),
    restWithout: rests(units, bits, layers),
    roomWithout: rooms(bits, earliest) ?? (() => layers),
    work: {
      reached: new Float64Array(layers + 1),
      by: new Int16Array(layers + 1),
      times: new Float64Array(layers + 1),
      starts: new Int16Array(layers + 1),
      window: new Window(layers),
    },
  };
}

/** Of more machines than eight, looking at all sets takes longer than it saves. */
const SETS_MAX = 256;

/** The longest stage of each unit, and of each set of machines the most that any units of it take together. */
function rooms(bits: Int32Array, earliest: readonly Int16Array[]): Prepared["roomWithout"] | undefined {
  const longest = earliest.map((starts) =>
    starts.reduce((most, start, end) => Math.max(most, end - start), 0),
  );
  const all = bits.reduce((union, own) => union | own, 0);
  if (all >= SETS_MAX) return undefined;
  const most = new Int32Array(all + 1);
  for (let set = 1; set <= all; set++) {
    const lowest = set & -set;
    let best = at(most, set ^ lowest);
    for (const [unit, own] of bits.entries())
      if ((own & lowest) !== 0 && (own & ~set) === 0)
        best = Math.max(best, (longest[unit] ?? 0) + at(most, set ^ own));
    most[set] = best;
  }
  return (used) => at(most, all & ~used);
}

/** Each layer by whoever of those left is fastest at it, without hops. */
function rests(units: readonly Unit[], bits: Int32Array, layers: number): Prepared["restWithout"] {
  const known = new Map<number, Float64Array>();
  return (used) => {
    const before = known.get(used);
    if (before) return before;
    const rest = new Float64Array(layers + 1).fill(Number.POSITIVE_INFINITY);
    for (const [unit, { times }] of units.entries()) {
      if ((at(bits, unit) & used) !== 0) continue;
      for (let layer = 0; layer < layers; layer++)
        rest[layer] = Math.min(at(rest, layer), at(times, layer + 1) - at(times, layer));
    }
    rest[layers] = 0;
    for (let layer = layers - 1; layer >= 0; layer--) rest[layer] = at(rest, layer) + at(rest, layer + 1);
    known.set(used, rest);
    return rest;
  };
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
