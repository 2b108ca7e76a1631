/** The report as people read it in a terminal, or paste it as Markdown. */
import { type TableOptions, table } from "../terminal/table.ts";
import { shownChange } from "./compare.ts";
import { shownSeconds } from "./estimate.ts";
import { shownCount, shownRate } from "./grid.ts";
import type { Quality } from "./quality.ts";
import type { Report, ReportCell } from "./report.ts";
import type { Spread } from "./statistics.ts";

const HEADERS = [
  "scenario",
  "model",
  "prompt×out",
  "load",
  "ttft p50/p90/p99",
  "itl p50/p90/p99",
  "prefill tok/s",
  "tok/s/stream",
  "tok/s total",
  "CV",
];

export function tableReport(report: Report, options: TableOptions = {}): string {
  const { headers, rows } = columnsOf(report);
  return [
    `${headLine(report)}\n`,
    ...report.warnings.map((text) => `! ${text}\n`),
    table(headers, rows, options),
    ...notesOf(report),
  ].join("");
}

export function markdownReport(report: Report): string {
  const { headers, rows } = columnsOf(report);
  const cell = (text: string) => text.replaceAll("|", "\\|");
  const line = (row: readonly string[]) => `| ${row.map(cell).join(" | ")} |\n`;
  return [
    `### ${headLine(report)}\n\n`,
    ...report.warnings.map((text) => `* ⚠ ${text}\n`),
    report.warnings.length > 0 ? "\n" : "",
    line(headers),
    line(headers.map(() => "---")),
    ...rows.map(line),
    "\n",
    ...notesOf(report).map((text) => `* ${text}`),
  ].join("");
}

/** Name, machine, version: what a number without them is worth nothing. */
export function headLine({ name, state, environment, seconds, cells }: Report): string {
  const { exo, cpu, logicalCores, memoryBytes, target } = environment;
  const memory = `${(memoryBytes / 1e9).toFixed(0)} GB`;
  const where =
    target.kind === "url"
      ? ` · ${target.url}`
      : ` · exo ${target.version ?? exo.version} (${exo.commit}), ${target.kind}`;
  const mark = state === "partial" ? "PARTIAL · " : "";
  const counts = [...new Set(cells.map(({ runs }) => runs.length))].toSorted((a, b) => a - b);
  const least = counts[0] ?? 0;
  const most = counts.at(-1) ?? 0;
  const runs = least === most ? shownCount(least, "run") : `${least} to ${most} runs`;
  return `${mark}${name} · ${cpu}, ${logicalCores} cores, ${memory}${where} · ${runs} · ${shownSeconds(seconds)}`;
}

export function columnsOf(report: Report): { headers: string[]; rows: string[][] } {
  const { cells, comparison } = report;
  const hasGoodput = cells.some(({ summary }) => summary.goodput !== undefined);
  const changes = new Map(comparison?.cells.map((cell) => [cell.key, cell.changes]));
  const hasEnergy = cells.some(({ summary }) => summary.energy !== undefined);
  const headers = [
    ...HEADERS,
    ...(hasGoodput ? ["goodput"] : []),
    ...(hasEnergy ? ["Wh/req", "J/tok"] : []),
    ...(comparison?.baseline ? ["vs baseline"] : []),
  ];
  const rows = cells.map((cell) => [
    ...rowOf(cell),
    ...(hasGoodput ? [shown(cell.summary.goodput, 2)] : []),
    ...(hasEnergy ? energyOf(cell) : []),
    ...(comparison?.baseline ? [shownVerdict(changes.get(cell.key) ?? {})] : []),
  ]);
  return { headers, rows };
}

function rowOf({
  scenario,
  model,
  placement,
  shape,
  load,
  offeredPerS,
  summary,
  variation,
  noisy,
  runs,
}: ReportCell): string[] {
  const { ttft, itl, prefillTps, decodeTps, totalTps, errors, requests } = summary;
  const offered = offeredPerS === undefined || load.includes("/s") ? "" : ` ${offeredPerS.toFixed(2)}/s`;
  const failed = errors > 0 ? ` (${errors} of ${requests} failed)` : "";
  const spread =
    variation === undefined
      ? shownCount(runs.length, "run")
      : `${(variation * 100).toFixed(1)} %${noisy ? " noisy" : ""}`;
  return [
    scenario,
    `${model.split("/").at(-1) ?? model}${placement === undefined ? "" : ` (${placement})`}`,
    shape,
    `${load}${offered}${failed}`,
    latencies(ttft, 1000, "s"),
    latencies(itl, 1, "ms"),
    shown(prefillTps, 1),
    shown(decodeTps, 1),
    shown(totalTps, 1),
    spread,
  ];
}

/** Without what is drawn at rest, where that is known. */
function energyOf({ summary: { energy } }: ReportCell): string[] {
  const wattHours = energy?.whPerRequest ?? energy?.grossWhPerRequest;
  const gross = energy !== undefined && energy.whPerRequest === undefined ? " gross" : "";
  return [
    wattHours === undefined ? "–" : `${Number(wattHours.toPrecision(3))}${gross}`,
    shown(energy?.joulesPerToken, 2),
  ];
}

/** `1.31 1.36 – s` */
function latencies(spread: Spread | undefined, divisor: number, unit: string): string {
  if (!spread) return "–";
  const digits = unit === "s" ? 3 : 1;
  const values = [spread.p50, spread.p90, spread.p99].map((ms) =>
    ms === undefined ? "–" : (ms / divisor).toFixed(digits),
  );
  return `${values.join(" ")} ${unit}`;
}

const shown = (value: number | undefined, digits: number): string =>
  value === undefined ? "–" : value.toFixed(digits);

const MARKS = { better: "✓", worse: "✗", same: "=", unsure: "?" } as const;
type Changes = NonNullable<Report["comparison"]>["cells"][number]["changes"];

/** Of the rate of decoding, which most people look at first; else of the total. */
function shownVerdict(changes: Changes): string {
  const change = changes.decode_tps ?? changes.total_tps;
  return change ? `${shownChange(change.ratio)} ${MARKS[change.verdict]}` : "–";
}

/** What stands under the table, a line each. */
export function notesOf({ skipped, comparison, cells, quality, environment }: Report): string[] {
  const p99 =
    cells.some(({ summary }) => summary.itl && !summary.itl.p99) ||
    cells.some(({ summary }) => summary.ttft && !summary.ttft.p99);
  return [
    ...(p99 ? ["p99 is left out below 100 samples\n"] : []),
    ...(cells.some(({ noisy }) => noisy) ? ["noisy: the runs of a cell vary by more than 5 %\n"] : []),
    ...thoughtNotes(cells),
    ...energyNotes(cells, environment.energySource),
    ...quality.map((each) => `${qualityLine(each)}\n`),
    ...kneesOf(cells).map((text) => `${text}\n`),
    ...skipped.map(({ what, reason }) => `skipped ${what}: ${reason}\n`),
    ...(comparison ? comparedNotes(comparison) : []),
  ];
}

/** Of models that think before they answer: when each of the two began. */
const thoughtNotes = (cells: readonly ReportCell[]): string[] =>
  cells.flatMap(({ key, summary: { firstReasoning, firstAnswer } }) =>
    firstReasoning
      ? [
          `${key}: first thought ${latencies(firstReasoning, 1000, "s")}, first answer ${latencies(firstAnswer, 1000, "s")}\n`,
        ]
      : [],
  );

function energyNotes(cells: readonly ReportCell[], source: string | undefined): string[] {
  const drawn = cells.flatMap(({ summary: { energy } }) => energy ?? []);
  const [first] = drawn;
  if (!first || source === undefined) return [];
  const rest =
    first.baselineWatts === undefined
      ? "what is drawn at rest is in it"
      : `at rest ${first.baselineWatts.toFixed(1)} W`;
  const most = Math.max(...drawn.map(({ watts }) => watts));
  return [`energy as ${source} counts it: up to ${most.toFixed(1)} W, ${rest}\n`];
}

function qualityLine({ scenario, model, check, value, count, wrong = [] }: Quality): string {
  if (check === "perplexity")
    return `${scenario} · ${model}: perplexity ${value.toFixed(3)} over ${count} tokens`;
  const right = count - wrong.length;
  return `${scenario} · ${model}: ${right} of ${count} ${check === "tools" ? "tool calls" : "answers"} right`;
}

function comparedNotes({
  baseline,
  unmatched,
  warnings,
  broken,
}: NonNullable<Report["comparison"]>): string[] {
  return [
    ...(baseline
      ? [
          `compared with ${baseline.name} of ${baseline.startedAt} (${baseline.commit}); = is within chance (95 % bootstrap over runs), ? has too few runs\n`,
        ]
      : []),
    ...warnings.map((text) => `! ${text}\n`),
    ...unmatched.map((text) => `not compared: ${text}\n`),
    ...broken.map(({ key, metric, limit, found }) => `✗ ${metric} ${found} on ${key} (limit ${limit})\n`),
  ];
}

/** A target that answers less than this share of what is offered falls behind. */
const KEEPS_UP = 0.9;

/** Of each sweep the highest rate that was still answered. */
function kneesOf(cells: readonly ReportCell[]): string[] {
  const steps = Map.groupBy(
    cells.filter(({ key, load }) => load.startsWith("step ") && key.endsWith(load)),
    ({ key, load }) => key.slice(0, -load.length - " · ".length),
  );
  return [...steps].map(([key, points]) => {
    const held = points.filter((cell) => pacePerS(cell) >= KEEPS_UP * (cell.offeredPerS ?? 0));
    const best = Math.max(0, ...held.map(({ offeredPerS = 0 }) => offeredPerS));
    return best > 0 ? `${key}: keeps up to ${shownRate(best)}` : `${key}: keeps up with no step`;
  });
}

/** Answers per second without the time that the last of them needs by its nature; falling behind makes it longer. */
function pacePerS({ summary, runs }: ReportCell): number {
  const windowMs = runs.reduce((sum, run) => sum + run.windowMs - (summary.e2e?.p50 ?? 0), 0);
  return windowMs > 0 ? ((summary.requests - summary.errors) * 1000) / windowMs : 0;
}
