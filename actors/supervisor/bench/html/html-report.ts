/** The report as one file that refers to nothing outside: style and charts are in it, and it runs no script. */
import { shownBytes } from "../../terminal/table.ts";
import { shownChange } from "../compare.ts";
import type { Environment } from "../facts.ts";
import type { Report } from "../report.ts";
import { columnsOf, headLine, notesOf } from "../table-report.ts";
import {
  changesFigure,
  gapsFigure,
  latencyCurves,
  percentileBands,
  powerFigure,
  runsFigure,
  slowestFigure,
} from "./charts.ts";
import { list, section, tableOf } from "./parts.ts";
import { STYLE } from "./style.ts";
import { escaped } from "./svg.ts";

export function htmlReport(report: Report): string {
  const { name, state, warnings, startedAt } = report;
  const sections = [
    `<header><h1>${escaped(name)}<span class="state ${state}">${state}</span></h1><p class="lead">${escaped(headLine(report))} · <time datetime="${escaped(startedAt)}">${escaped(startedAt)}</time></p></header>`,
    list(warnings, "Warnings", "warning"),
    section("Figures", [
      tableOf({ caption: "every cell, over all its runs", ...columnsOf(report) }),
      list(
        notesOf(report).map((text) => text.trim()),
        "Notes",
      ),
    ]),
    section("Charts", [charts(report)]),
    comparison(report),
    environment(report.environment),
    section("Definitions", [
      `<div class="prose">${tableOf({ headers: ["metric", "is"], rows: Object.entries(report.definitions) })}</div>`,
      `<p class="lead">Not measured: links, stages of a pipeline and their bubbles.</p>`,
    ]),
  ];
  const head = `<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${escaped(name)} · exo bench</title><style>${STYLE}</style>`;
  return `<!doctype html>\n<html lang="en"><head>${head}</head><body><main>${sections.join("\n")}</main></body></html>\n`;
}

/** A histogram of each cell of a large grid would make the page endless. */
const CELLS_MOST = 24;

function charts(report: Report): string {
  const { cells } = report;
  const own = cells.slice(0, CELLS_MOST);
  const figures = [
    changesFigure(report),
    ...latencyCurves(cells),
    ...percentileBands(cells, {
      title: "Time to first token",
      of: (cell) => cell.summary.ttft,
      divisor: 1000,
      unit: "s",
    }),
    ...percentileBands(cells, {
      title: "Gap between pieces (ITL)",
      of: (cell) => cell.summary.itl,
      divisor: 1,
      unit: "ms",
    }),
    runsFigure(cells),
    ...own.map(gapsFigure),
    ...own.map(powerFigure),
    slowestFigure(cells),
  ].filter((each) => each !== "");
  const more =
    cells.length > own.length
      ? `<p class="lead">Gaps and power of ${cells.length - own.length} more cells are in the JSON report.</p>`
      : "";
  return figures.length === 0 ? "" : `<div class="charts">${figures.join("")}</div>${more}`;
}

function comparison({ comparison: compared }: Report): string {
  if (!compared?.baseline) return "";
  const { name, startedAt } = compared.baseline;
  const rows = compared.cells.flatMap(({ key, changes }) =>
    Object.entries(changes).map(([metric, { before, after, ratio, interval, verdict }]) => [
      key,
      metric,
      shown(before),
      shown(after),
      shownChange(ratio),
      interval ? interval.map(shownChange).join(" … ") : "one run",
      verdict,
    ]),
  );
  const headers = ["cell", "metric", "before", "after", "change", "95 % interval", "verdict"];
  return section("Comparison", [tableOf({ caption: `against ${name} of ${startedAt}`, headers, rows })]);
}

const shown = (value: number): string => String(Number(value.toPrecision(4)));

function environment({ exo, target, ...machine }: Environment): string {
  const rows = Object.entries({
    ...machine,
    "exo version": exo.version,
    "exo commit": exo.commit,
    ...target,
  }).map(([key, value]) => [
    key,
    key.endsWith("Bytes")
      ? shownBytes(Number(value))
      : Array.isArray(value)
        ? value.join(", ")
        : String(value),
  ]);
  return section("Environment", [tableOf({ headers: ["what", "is"], rows })]);
}
