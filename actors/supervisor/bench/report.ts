/** `exo.bench/1`: everything that was measured, and what it was measured on. */
import { type Static, Type as t } from "@sinclair/typebox";
import { Comparison } from "./compare.ts";
import { Environment } from "./facts.ts";
import type { Frozen } from "./frozen.ts";
import { type Cell, loadLabel, shape } from "./grid.ts";
import { METRICS } from "./limits.ts";
import type { Measured } from "./measure.ts";
import { metricOf, summaryOf } from "./metrics.ts";
import { Quality } from "./quality.ts";
import { Run } from "./sample.ts";
import { variationOf } from "./statistics.ts";
import { Summary } from "./summary.ts";

export const SCHEMA = "exo.bench/1";

/** What the config asks for and was not done. */
export const Skipped = t.Object({ what: t.String(), reason: t.String() });
export type Skipped = Frozen<Static<typeof Skipped>>;

export const ReportCell = t.Object({
  key: t.String({ description: "scenario · model · shape · load: finds the same cell in another report" }),
  scenario: t.String(),
  model: t.String(),
  placement: t.Optional(t.String({ description: "as the config asks for it: pipeline on studio + mini" })),
  shape: t.String({ description: "512×128, with a filled context 8192+512×128" }),
  load: t.String(),
  streams: t.Optional(t.Integer()),
  offeredPerS: t.Optional(t.Number()),
  summary: Summary,
  perRun: t.Record(t.String(), t.Array(t.Number()), {
    description: "of every metric, one value per run, in the order of runs; what comparisons draw from",
  }),
  variation: t.Optional(
    t.Number({
      description:
        "coefficient of variation over the runs, of decode_tps, prefill_tps and total_tps: the largest",
    }),
  ),
  noisy: t.Boolean({ description: "the variation is above 5 %" }),
  runs: t.Array(Run),
});
export type ReportCell = Frozen<Static<typeof ReportCell>>;

export const Report = t.Object({
  schema: t.Literal(SCHEMA),
  name: t.String(),
  state: t.Union([t.Literal("complete"), t.Literal("partial")], {
    description: "partial when it was interrupted: some cells or repeats are missing",
  }),
  startedAt: t.String({ description: "ISO 8601, UTC" }),
  seconds: t.Number(),
  environment: Environment,
  definitions: t.Record(t.String(), t.String()),
  warnings: t.Array(t.String()),
  skipped: t.Array(Skipped),
  cells: t.Array(ReportCell),
  quality: t.Array(Quality, { description: "what the scenarios' checks found" }),
  comparison: t.Optional(Comparison),
});
export type Report = Frozen<Static<typeof Report>>;

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
    ...(cell.placement && { placement: cell.placement.label }),
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
