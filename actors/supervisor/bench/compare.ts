/** Two reports side by side: which cells changed, how surely, and which limits they broke. */
import type { Limit } from "./bench-config.ts";
import { METRICS } from "./limits.ts";
import { metricOf } from "./metrics.ts";
import { randomOf } from "./random.ts";
import type { Report, ReportCell } from "./report.ts";
import { type Change, changeOf } from "./statistics.ts";

export interface Comparison {
  /** Which report it is compared with. */
  readonly baseline: { readonly name: string; readonly startedAt: string; readonly commit: string };
  readonly cells: readonly CellComparison[];
  /** Cells of one side only. */
  readonly unmatched: readonly string[];
  readonly warnings: readonly string[];
  readonly broken: readonly BrokenLimit[];
}

export interface CellComparison {
  readonly key: string;
  readonly changes: Readonly<Record<string, MetricChange>>;
}

export interface MetricChange extends Change {
  readonly before: number;
  readonly after: number;
  /** `same` when the interval holds 0; `unsure` where single runs give no interval. */
  readonly verdict: "better" | "worse" | "same" | "unsure";
}

export interface BrokenLimit {
  readonly key: string;
  readonly metric: string;
  readonly limit: string;
  /** `−6.2 %` for a change, the value for a bound. */
  readonly found: string;
}

export type Comparable = Pick<Report, "name" | "startedAt" | "environment" | "cells" | "quality">;

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

/** One number each, without chance in it: greedy scoring of one text. */
function brokenQuality(before: Comparable, after: Comparable, limits: readonly Limit[]): BrokenLimit[] {
  return limits
    .filter(({ metric }) => metric === "perplexity")
    .flatMap(({ metric, sign, amount, text }) =>
      after.quality.flatMap(({ scenario, model, perplexity }) => {
        const was = before.quality.find(
          (each) => each.scenario === scenario && each.model === model,
        )?.perplexity;
        const ratio = was === undefined ? 0 : perplexity / was - 1;
        const beyond = {
          "+": ratio * 100 > amount,
          "-": ratio * 100 < -amount,
          ">": perplexity > amount,
          "<": perplexity < amount,
        }[sign];
        const found = sign === "+" || sign === "-" ? shownChange(ratio) : perplexity.toFixed(3);
        return beyond ? [{ key: `${scenario} · ${model}`, metric, limit: text, found }] : [];
      }),
    );
}

/** `+3.1 %`, with a minus sign that lines up. */
export function shownChange(ratio: number): string {
  const percent = (Math.abs(ratio) * 100).toFixed(1);
  return `${ratio < 0 ? "−" : "+"}${percent} %`;
}

/** What makes a comparison one of machines rather than of versions. */
function differences({ environment: before }: Comparable, { environment: after }: Comparable): string[] {
  const named = {
    cpu: "processor",
    logicalCores: "number of cores",
    memoryBytes: "memory",
    os: "system",
  } as const;
  return (Object.keys(named) as (keyof typeof named)[])
    .filter((key) => before[key] !== after[key])
    .map((key) => `the ${named[key]} differs: ${before[key]} then, ${after[key]} now`);
}
