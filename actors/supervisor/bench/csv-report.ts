/** One row per cell, in columns that set beside llama-bench's make sense: one header, SI units in the names. */
import type { Report, ReportCell } from "./report.ts";
import type { Spread } from "./statistics.ts";

type Column = readonly [
  name: string,
  value: (cell: ReportCell, report: Report) => string | number | undefined,
];

const spreadColumns = (name: string, of: (cell: ReportCell) => Spread | undefined): Column[] =>
  (["mean", "p50", "p90", "p99"] as const).map((part) => [`${name}_ms_${part}`, (cell) => of(cell)?.[part]]);

const COLUMNS: readonly Column[] = [
  ["build_commit", (_, { environment }) => environment.exo.commit],
  ["cpu_info", (_, { environment }) => environment.cpu],
  ["target", (_, { environment }) => environment.target.url],
  ["scenario", ({ scenario }) => scenario],
  ["model", ({ model }) => model],
  ["placement", ({ placement }) => placement],
  ["shape", ({ shape }) => shape],
  ["load", ({ load }) => load],
  ["streams", ({ streams }) => streams],
  ["offered_per_s", ({ offeredPerS }) => offeredPerS],
  ["runs", ({ runs }) => runs.length],
  ["requests", ({ summary }) => summary.requests],
  ["errors", ({ summary }) => summary.errors],
  ["n_prompt", ({ summary }) => summary.promptTokens],
  ["n_cached", ({ summary }) => summary.cachedTokens],
  ["n_gen", ({ summary }) => summary.outputTokens],
  ["prefill_tps", ({ summary }) => summary.prefillTps],
  ["decode_tps", ({ summary }) => summary.decodeTps],
  ["total_tps", ({ summary }) => summary.totalTps],
  ["requests_per_s", ({ summary }) => summary.requestsPerS],
  ["goodput_per_s", ({ summary }) => summary.goodput],
  ...spreadColumns("first_reasoning", ({ summary }) => summary.firstReasoning),
  ...spreadColumns("first_answer", ({ summary }) => summary.firstAnswer),
  ...spreadColumns("ttft", ({ summary }) => summary.ttft),
  ...spreadColumns("itl", ({ summary }) => summary.itl),
  ...spreadColumns("tpot", ({ summary }) => summary.tpot),
  ...spreadColumns("e2e", ({ summary }) => summary.e2e),
  ["wh_per_request", ({ summary }) => summary.energy?.whPerRequest],
  ["joules_per_token", ({ summary }) => summary.energy?.joulesPerToken],
  ["watts", ({ summary }) => summary.energy?.watts],
  ["cv", ({ variation }) => variation],
  ["state", (_, { state }) => state],
  ["test_time", (_, { startedAt }) => startedAt],
];

/** RFC 4180. */
export function csvReport(report: Report): string {
  const lines = [
    COLUMNS.map(([name]) => name),
    ...report.cells.map((cell) => COLUMNS.map(([, value]) => shown(value(cell, report)))),
  ];
  return lines.map((line) => `${line.map(quoted).join(",")}\r\n`).join("");
}

/** The same rows, an object a line; what was not measured is left out. */
export function jsonLinesReport(report: Report): string {
  return report.cells
    .map((cell) =>
      COLUMNS.flatMap(([name, value]) => {
        const found = value(cell, report);
        return found === undefined ? [] : [[name, found] as const];
      }),
    )
    .map((entries) => `${JSON.stringify(Object.fromEntries(entries))}\n`)
    .join("");
}

const shown = (value: string | number | undefined): string =>
  typeof value === "number" ? String(Number(value.toPrecision(6))) : (value ?? "");

const quoted = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
