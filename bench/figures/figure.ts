/** What figures are: series of measured values, ratios of series, and whether they reach their goals. */
import { medianOf } from "#actors/supervisor/bench/statistics";

export interface Extent {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** What one side did in every round, in the unit that people read: more is better, but for milliseconds. */
export interface Series {
  readonly of: string;
  readonly unit: "tok/s" | "GB/s" | "ms";
  /** Absent where the number of threads is not the measurer's to choose. */
  readonly threads?: number;
  readonly values: readonly number[];
}

export interface Goal {
  readonly is: "at least" | "at most";
  readonly value: number;
}

export interface Figure {
  /** As the table of goals words it. */
  readonly measure: string;
  readonly extent: Extent;
  readonly unit: "" | "s";
  /** Absent for what is told beside the goals. */
  readonly goal?: Goal;
  /** The series that it was made from. */
  readonly from: readonly string[];
}

export const extentOf = (values: readonly number[]): Extent => ({
  median: medianOf(values),
  least: Math.min(...values),
  most: Math.max(...values),
});

/** Runs of one round over each other: what slowed the machine then slowed both. */
export function ratiosOf(over: readonly number[], under: readonly number[]): readonly number[] {
  if (over.length !== under.length)
    throw new Error(`${over.length} rounds cannot be set against ${under.length}`);
  return over.map((value, round) => value / (under[round] ?? Number.NaN));
}

export function ratioFigure(measure: string, over: Series, under: Series, goal?: Goal): Figure {
  const extent = extentOf(ratiosOf(over.values, under.values));
  return { measure, extent, unit: "", from: [named(over), named(under)], ...(goal && { goal }) };
}

/** `undefined` where there is no goal. */
export function reached({ goal, extent }: Figure): boolean | undefined {
  if (!goal) return undefined;
  return goal.is === "at least" ? extent.median >= goal.value : extent.median <= goal.value;
}

/** The one that is fastest in the middle of its rounds: each side competes with its best number of threads. */
export function bestOf(series: readonly Series[]): Series {
  const [best] = series.toSorted((a, b) => medianOf(b.values) - medianOf(a.values));
  if (!best) throw new Error("nothing was measured");
  return best;
}

export const named = ({ of, threads }: Series): string =>
  threads === undefined ? of : `${of}, ${threads} ${threads === 1 ? "thread" : "threads"}`;

export const atLeast = (value: number): Goal => ({ is: "at least", value });
export const atMost = (value: number): Goal => ({ is: "at most", value });
