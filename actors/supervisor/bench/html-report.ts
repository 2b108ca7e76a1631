/** The report as one file that refers to nothing outside: style and charts are in it, and it runs no script. */
import { shownBytes } from "../terminal/table.ts";
import type { Environment } from "./facts.ts";
import type { Report, ReportCell } from "./report.ts";
import type { Sample } from "./sample.ts";
import type { Spread } from "./statistics.ts";
import { bands, curve, escaped, histogram } from "./svg.ts";
import { columnsOf, headLine, notesOf } from "./table-report.ts";

export function htmlReport(report: Report): string {
  const { name, cells, warnings } = report;
  const { headers, rows } = columnsOf(report);
  const sections = [
    `<h1>${escaped(name)}${report.state === "partial" ? " · PARTIAL" : ""}</h1>`,
    `<p>${escaped(headLine(report))} · ${escaped(report.startedAt)}</p>`,
    list(warnings, "warning"),
    tableOf(headers, rows),
    list(notesOf(report).map((text) => text.trim())),
    comparison(report),
    ...curves(cells),
    percentiles(cells, "Time to first token", { of: (cell) => cell.summary.ttft, divisor: 1000, unit: "s" }),
    percentiles(cells, "Gap between pieces", { of: (cell) => cell.summary.itl, divisor: 1, unit: "ms" }),
    ...cells.map(gaps),
    slowest(cells),
    environment(report.environment),
    "<h2>Definitions</h2>",
    tableOf(["metric", "is"], Object.entries(report.definitions)),
    "<p>Not measured: power, graphics processors, links, stages of a pipeline.</p>",
  ];
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escaped(name)} · exo bench</title><style>${STYLE}</style></head><body>${sections.join("\n")}</body></html>\n`;
}

const list = (lines: readonly string[], kind = ""): string =>
  lines.length === 0
    ? ""
    : `<ul class="${kind}">${lines.map((line) => `<li>${escaped(line)}</li>`).join("")}</ul>`;

function tableOf(headers: readonly string[], rows: readonly (readonly string[])[]): string {
  const row = (tag: string, cells: readonly string[]) =>
    `<tr>${cells.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join("")}</tr>`;
  return `<table>${row("th", headers)}${rows.map((cells) => row("td", cells)).join("")}</table>`;
}

function comparison({ comparison: compared }: Report): string {
  if (!compared) return "";
  const rows = compared.cells.flatMap(({ key, changes }) =>
    Object.entries(changes).map(([metric, { before, after, ratio, interval, verdict }]) => [
      key,
      metric,
      shown(before),
      shown(after),
      percent(ratio),
      interval ? interval.map(percent).join(" … ") : "one run",
      verdict,
    ]),
  );
  const { name = "no report", startedAt = "before" } = compared.baseline ?? {};
  return `<h2>Against ${escaped(name)} of ${escaped(startedAt)}</h2>${tableOf(["cell", "metric", "before", "after", "change", "95 % interval", ""], rows)}`;
}

const percent = (ratio: number): string => `${ratio < 0 ? "−" : "+"}${Math.abs(ratio * 100).toFixed(1)} %`;
const shown = (value: number): string => String(Number(value.toPrecision(4)));

/** Latency over throughput, where a scenario has several loads. */
function curves(cells: readonly ReportCell[]): string[] {
  const groups = Map.groupBy(cells, ({ scenario, model, shape }) => `${scenario} · ${model} · ${shape}`);
  return [...groups].flatMap(([title, group]) => {
    const points = group.flatMap(({ load, summary }) =>
      summary.ttft ? [{ x: summary.totalTps, y: summary.ttft.p50 / 1000, label: load }] : [],
    );
    if (points.length < 2) return [];
    return [
      figure(
        `Latency and throughput: ${title}`,
        curve(points, { x: "tokens per second, all streams", y: "time to first token p50, s" }),
      ),
    ];
  });
}

const figure = (title: string, svg: string): string =>
  `<figure><figcaption>${escaped(title)}</figcaption>${svg}</figure>`;

interface Which {
  readonly of: (cell: ReportCell) => Spread | undefined;
  readonly divisor: number;
  readonly unit: string;
}

function percentiles(cells: readonly ReportCell[], title: string, { of, divisor, unit }: Which): string {
  const rows = cells.flatMap((cell) => {
    const spread = of(cell);
    if (!spread) return [];
    const values = [spread.p50, spread.p90, spread.p99]
      .filter((ms) => ms !== undefined)
      .map((ms) => ms / divisor);
    return [{ label: `${cell.shape} ${cell.load}`, values }];
  });
  const charts = Array.from({ length: Math.ceil(rows.length / BANDS_MOST) }, (_, i) =>
    bands(rows.slice(i * BANDS_MOST, (i + 1) * BANDS_MOST), unit),
  );
  const caption = `${title}: p50, p90, and p99 where there are 100 samples`;
  return charts.map((chart) => figure(caption, chart)).join("");
}

/** The names under more columns would run into each other. */
const BANDS_MOST = 5;

function gaps({ key, runs }: ReportCell): string {
  const values = runs.flatMap(({ samples }) =>
    samples.flatMap(({ pieces }) => pieces.slice(1).map(([gap]) => gap)),
  );
  return values.length === 0
    ? ""
    : figure(`Gaps between pieces: ${key}`, histogram(values, { x: "ms", y: "pieces" }));
}

/** Where the time of the slowest answer went, piece by piece. */
function slowest(cells: readonly ReportCell[]): string {
  const all = cells.flatMap(({ key, runs }) =>
    runs.flatMap(({ samples }) => samples.map((sample) => ({ key, sample }))),
  );
  const lasting = ({ endMs, scheduledMs }: Sample) => endMs - scheduledMs;
  const worst = all
    .filter(({ sample }) => sample.error === undefined && sample.pieces.length > 1)
    .toSorted((a, b) => lasting(b.sample) - lasting(a.sample))[0];
  if (!worst) return "";
  let tokens = 0;
  let ms = worst.sample.sentMs - worst.sample.scheduledMs;
  const points = worst.sample.pieces.map(([gap, count]) => {
    ms += gap;
    tokens += count;
    return { x: ms / 1000, y: tokens, label: "" };
  });
  return figure(
    `The slowest request: ${worst.key}`,
    curve(points, { x: "seconds since it was due", y: "tokens" }),
  );
}

function environment({ exo, target, ...machine }: Environment): string {
  const rows = Object.entries({
    ...machine,
    "exo version": exo.version,
    "exo commit": exo.commit,
    ...target,
  }).map(([key, value]) => [key, key.endsWith("Bytes") ? shownBytes(Number(value)) : String(value)]);
  return `<h2>Environment</h2>${tableOf(["", ""], rows)}`;
}

const STYLE = `
:root{color-scheme:light dark;--ink:#1c2126;--soft:#66707a;--rule:#d9dee3;--a:#2463c9;--b:#7aa5e6;--c:#c9dbf6;--paper:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#98a2ac;--rule:#333a41;--a:#7aa5e6;--b:#3d6fb8;--c:#26406a;--paper:#14181c}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:72rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:14px;display:block;overflow-x:auto}
th,td{text-align:left;padding:.25rem .8rem .25rem 0;border-bottom:1px solid var(--rule);white-space:nowrap}
figure{margin:2rem 0;max-width:46rem}figcaption{font-weight:600}svg{width:100%;height:auto}
.warning{color:#b3541e}.grid{stroke:var(--rule)}.tick,.mark{font-size:11px;fill:var(--soft)}.axis{font-size:12px;fill:var(--ink)}
.line{fill:none;stroke:var(--a);stroke-width:2}.dot,.band0{fill:var(--a)}.band1{fill:var(--b)}.band2{fill:var(--c)}`;
