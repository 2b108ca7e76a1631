/** Two reports side by side: which cells changed, how surely, and which limits they broke. */
import { type Static, Type as t } from "@sinclair/typebox";
import type { Limit } from "./bench-config.ts";
import type { Frozen } from "./frozen.ts";
import { METRICS } from "./limits.ts";
import { metricOf } from "./metrics.ts";
import { randomOf } from "./random.ts";
import type { Report, ReportCell } from "./report.ts";
import { Change, changeOf } from "./statistics.ts";

const MetricChange = t.Object({
  ...Change.properties,
  before: t.Number(),
  after: t.Number(),
  verdict: t.Union([t.Literal("better"), t.Literal("worse"), t.Literal("same"), t.Literal("unsure")], {
    description: "same: the interval holds 0; unsure: single runs give no interval",
  }),
});
type MetricChange = Frozen<Static<typeof MetricChange>>;

const CellComparison = t.Object({ key: t.String(), changes: t.Record(t.String(), MetricChange) });
export type CellComparison = Frozen<Static<typeof CellComparison>>;

const BrokenLimit = t.Object({
  key: t.String(),
  metric: t.String(),
  limit: t.String(),
  found: t.String({ description: "−6.2 % for a change, the value for a bound" }),
});
type BrokenLimit = Frozen<Static<typeof BrokenLimit>>;

export const Comparison = t.Object({
  baseline: t.Optional(
    t.Object(
      { name: t.String(), startedAt: t.String(), commit: t.String() },
      { description: "which report it is compared with; absent where there was none yet" },
    ),
  ),
  cells: t.Array(CellComparison),
  unmatched: t.Array(t.String(), { description: "cells of one side only" }),
  warnings: t.Array(t.String()),
  broken: t.Array(BrokenLimit),
});
export type Comparison = Frozen<Static<typeof Comparison>>;

export type Comparable = Pick<Report, "name" | "startedAt" | "environment" | "cells" | "quality">;

/** Without a report before it, only the bounds of single values can be broken. */
export const boundsOnly = (after: Comparable, limits: readonly Limit[]): Comparison => ({
  cells: [],
  unmatched: [],
  warnings: ["there is no report to compare with yet: this one is the first"],
  broken: [...brokenBounds(after.cells, limits), ...brokenQuality(undefined, after, limits)],
});

export function compare(before: Comparable, after: Comparable, limits: readonly Limit[]): Comparison {
  const known = new Map(before.cells.map((cell) => [cell.key, cell]));
  const matched = after.cells.filter(({ key }) => known.has(key));
  const cells = matched.map((cell) => compareCell(known.get(cell.key) ?? cell, cell));
  const keys = new Set(after.cells.map(({ key }) => key));
  const unmatched = [
    ...after.cells.filter(({ key }) => !known.has(key)).map(({ key }) => `${key}: not in the baseline`),
    ...before.cells.filter(({ key }) => !keys.has(key)).map(({ key }) => `${key}: only in the baseline`),
  ];
  const { name, startedAt, environment } = before;
  return {
    baseline: { name, startedAt, commit: environment.exo.commit },
    cells,
    unmatched,
    warnings: differences(before, after),
    broken: [
      ...brokenChanges(cells, limits),
      ...brokenBounds(after.cells, limits),
      ...brokenQuality(before, after, limits),
    ],
  };
}

function compareCell(before: ReportCell, after: ReportCell): CellComparison {
  const changes = Object.entries(METRICS).flatMap(([metric, moreIsBetter]): [string, MetricChange][] => {
    const [was, is] = [before.perRun[metric], after.perRun[metric]];
    if (!was?.length || !is?.length || metric === "errors" || was.every((value) => value === 0)) return [];
    const change = changeOf(was, is, randomOf(after.key, metric));
    const values = {
      before: metricOf(before.summary, metric) ?? Number.NaN,
      after: metricOf(after.summary, metric) ?? Number.NaN,
    };
    return [[metric, { ...change, ...values, verdict: verdictOf(change, moreIsBetter) }]];
  });
  return { key: after.key, changes: Object.fromEntries(changes) };
}

function verdictOf({ ratio, interval }: Change, moreIsBetter: boolean): MetricChange["verdict"] {
  if (!interval) return "unsure";
  if (interval[0] <= 0 && interval[1] >= 0) return "same";
  return ratio > 0 === moreIsBetter ? "better" : "worse";
}

/** A change breaks a limit when it is beyond it and more than chance; single runs have only the number itself. */
function brokenChanges(cells: readonly CellComparison[], limits: readonly Limit[]): BrokenLimit[] {
  return limits
    .filter(({ sign }) => sign === "+" || sign === "-")
    .flatMap(({ metric, sign, amount, text }) =>
      cells.flatMap(({ key, changes }) => {
        const change = changes[metric];
        if (!change || change.verdict === "same") return [];
        const percent = change.ratio * 100;
        const isBroken = sign === "+" ? percent > amount : percent < -amount;
        return isBroken ? [{ key, metric, limit: text, found: shownChange(change.ratio) }] : [];
      }),
    );
}

function brokenBounds(cells: readonly ReportCell[], limits: readonly Limit[]): BrokenLimit[] {
  return limits
    .filter(({ sign }) => sign === ">" || sign === "<")
    .flatMap(({ metric, sign, amount, text }) =>
      cells.flatMap(({ key, summary }) => {
        const value = metricOf(summary, metric);
        const isBroken = value !== undefined && (sign === ">" ? value > amount : value < amount);
        return isBroken ? [{ key, metric, limit: text, found: String(Number(value.toPrecision(4))) }] : [];
      }),
    );
}

/** One number each, without chance in it: greedy scoring of one text, greedy answers to one list. */
function brokenQuality(
  before: Comparable | undefined,
  after: Comparable,
  limits: readonly Limit[],
): BrokenLimit[] {
  return after.quality.flatMap(({ scenario, model, check, value }) => {
    const was = before?.quality.find(
      (each) => each.scenario === scenario && each.model === model && each.check === check,
    )?.value;
    return limits
      .filter(({ metric }) => metric === check)
      .filter((limit) => isBeyond(limit, value, was))
      .map(({ metric, sign, text }) => {
        const isChange = sign === "+" || sign === "-";
        const found = isChange ? shownChange(value / (was ?? value) - 1) : value.toFixed(3);
        return { key: `${scenario} · ${model}`, metric, limit: text, found };
      });
  });
}

function isBeyond({ sign, amount }: Limit, value: number, was: number | undefined): boolean {
  if (sign === ">") return value > amount;
  if (sign === "<") return value < amount;
  if (was === undefined || was === 0) return false;
  const percent = (value / was - 1) * 100;
  return sign === "+" ? percent > amount : percent < -amount;
}

/** `+3.1 %`, with a minus sign that lines up. */
export function shownChange(ratio: number): string {
  const percent = (Math.abs(ratio) * 100).toFixed(1);
  return `${ratio < 0 ? "−" : "+"}${percent} %`;
}

/** Of the engine: known only where it was one of the process that measured. */
const OF_ENGINE: readonly string[] = ["kernels", "threads"];

/** Where nothing was set. */
const OWN_CHOICE = "exo's own choice";

/** What makes a comparison one of machines rather than of versions. */
function differences({ environment: before }: Comparable, { environment: after }: Comparable): string[] {
  const named = {
    cpu: "processor",
    logicalCores: "number of cores",
    memoryBytes: "memory",
    os: "system",
    kernels: "set of kernels",
    threads: "number of threads",
  } as const;
  const isKnown = [before, after].every(({ target }) => target.kind === "in process");
  return (Object.keys(named) as (keyof typeof named)[])
    .filter((key) => before[key] !== after[key] && (isKnown || !OF_ENGINE.includes(key)))
    .map(
      (key) =>
        `the ${named[key]} differs: ${before[key] ?? OWN_CHOICE} then, ${after[key] ?? OWN_CHOICE} now`,
    );
}
