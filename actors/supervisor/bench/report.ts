/** `exo.bench/1`: everything that was measured, and what it was measured on. */
import type { Comparison } from "./compare.ts";
import type { Environment } from "./environment.ts";
import { type Cell, loadLabel, shape } from "./grid.ts";
import { METRICS } from "./limits.ts";
import type { Measured } from "./measure.ts";
import { metricOf, type Summary, summaryOf } from "./metrics.ts";
import type { Quality } from "./perplexity.ts";
import type { Run } from "./sample.ts";
import { variationOf } from "./statistics.ts";

export const SCHEMA = "exo.bench/1";

export interface Report {
  readonly schema: typeof SCHEMA;
  readonly name: string;
  /** `partial` when it was interrupted: some cells or repeats are missing. */
  readonly state: "complete" | "partial";
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly seconds: number;
  readonly environment: Environment;
  readonly definitions: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
  readonly skipped: readonly Skipped[];
  readonly cells: readonly ReportCell[];
  /** What the scenarios' checks found. */
  readonly quality: readonly Quality[];
  readonly comparison?: Comparison;
}

/** What the config asks for and was not done. */
export interface Skipped {
  readonly what: string;
  readonly reason: string;
}

export interface ReportCell {
  readonly key: string;
  readonly scenario: string;
  readonly model: string;
  /** `512×128`, with a filled context `8192+512×128`. */
  readonly shape: string;
  readonly load: string;
  readonly streams?: number;
  readonly offeredPerS?: number;
  readonly summary: Summary;
  /** Of every metric, one value per run, in the order of `runs`; what comparisons draw from. */
  readonly perRun: Readonly<Record<string, readonly number[]>>;
  /** Coefficient of variation over the runs, of decode_tps, prefill_tps and total_tps: the largest. */
  readonly variation?: number;
  readonly noisy: boolean;
  readonly runs: readonly Run[];
}

/** Above this a difference of some per cent means nothing. */
const NOISY_ABOVE = 0.05;
const VARYING = ["decode_tps", "prefill_tps", "total_tps"];

/** The cells of a report: each repeat's measurements put together by cell and step. */
export function reportCells(
  cells: readonly Cell[],
  measured: ReadonlyMap<string, readonly Measured[]>,
): ReportCell[] {
  return cells.flatMap((cell) => {
    const all = measured.get(cell.key) ?? [];
    const steps = [...new Set(all.map(({ step }) => step))];
    return steps.map((step) =>
      reportCell(
        cell,
        step,
        all.filter((each) => each.step === step),
      ),
    );
  });
}

function reportCell(cell: Cell, step: string | undefined, measured: readonly Measured[]): ReportCell {
  const runs = measured.map(({ run }) => run).toSorted((a, b) => a.repeat - b.repeat);
  const { slo } = cell.scenario;
  const single = runs.map((run) => summaryOf([run], slo));
  const perRun = Object.fromEntries(
    Object.keys(METRICS).flatMap((metric) => {
      const values = single.map((summary) => metricOf(summary, metric));
      return values.every((value) => value !== undefined) ? [[metric, values]] : [];
    }),
  );
  const variations = VARYING.flatMap((metric) => variationOf(perRun[metric] ?? []) ?? []);
  const variation = variations.length === 0 ? undefined : Math.max(...variations);
  const load = step ?? loadLabel(cell.load);
  const offered = measured[0]?.offeredPerS;
  return {
    key: step === undefined ? cell.key : `${cell.key} · ${step}`,
    scenario: cell.scenario.name,
    model: cell.model.id,
    shape: shape(cell),
    load,
    ...("streams" in cell.load && { streams: cell.load.streams }),
    ...(offered !== undefined && { offeredPerS: offered }),
    summary: summaryOf(runs, slo),
    perRun,
    ...(variation !== undefined && { variation }),
    noisy: variation !== undefined && variation > NOISY_ABOVE,
    runs,
  };
}
