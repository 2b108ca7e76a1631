import { expect, test } from "bun:test";
import { redacted } from "#actors/supervisor/bench/archive";
import { compare } from "#actors/supervisor/bench/compare";
import { csvReport } from "#actors/supervisor/bench/csv-report";
import { htmlReport } from "#actors/supervisor/bench/html/html-report";
import { randomOf } from "#actors/supervisor/bench/random";
import { changeOf, percentile, spreadOf, variationOf } from "#actors/supervisor/bench/statistics";
import { markdownReport, tableReport } from "#actors/supervisor/bench/table-report";
import { reportOf } from "./sample-report.ts";

test("percentiles interpolate between raw samples as numpy does", () => {
  const sorted = [10, 20, 30, 40];
  expect([0, 25, 50, 90, 100].map((p) => percentile(sorted, p))).toEqual([10, 17.5, 25, 37, 40]);
  expect([spreadOf([]), spreadOf([3])]).toEqual([
    undefined,
    { count: 1, mean: 3, std: 0, min: 3, p50: 3, p90: 3, max: 3 },
  ]);
  expect([variationOf([5]), variationOf([0, 0]), variationOf([9, 11])]).toEqual([
    undefined,
    undefined,
    Math.SQRT2 / 10,
  ]);
});

test("a change is given with the interval of a bootstrap over runs, or without one where runs are single", () => {
  const sure = changeOf([100, 101, 99, 100], [110, 111, 109, 110], randomOf(1));
  const noise = changeOf([100, 120, 80], [101, 121, 81], randomOf(1));
  expect([sure.ratio, sure.interval?.every((bound) => bound > 0.08 && bound < 0.12)]).toEqual([
    expect.closeTo(0.1),
    true,
  ]);
  expect((noise.interval?.[0] ?? 1) < 0 && (noise.interval?.[1] ?? -1) > 0).toBe(true);
  expect(changeOf([100], [90], randomOf(1))).toEqual({ ratio: expect.closeTo(-0.1) });
});

const limits = (metric: string, sign: "+" | "-" | ">" | "<", amount: number) => [
  { metric, sign, amount, text: `${sign}${amount}` },
];

test("a limit is broken by a change beyond it that is more than chance", () => {
  const before = reportOf({ decodeTps: [50, 50.5, 49.5] });
  const slower = reportOf({ decodeTps: [45, 45.5, 44.5] });
  const noisy = reportOf({ decodeTps: [20, 80, 40] });
  const broken = (after: typeof before, limit: ReturnType<typeof limits>) =>
    compare(before, after, limit).broken.map(({ metric, found }) => `${metric} ${found}`);
  expect([
    broken(slower, limits("decode_tps", "-", 5)),
    broken(slower, limits("decode_tps", "-", 15)),
    broken(slower, limits("itl_p50", "+", 5)),
    broken(noisy, limits("decode_tps", "-", 5)),
    broken(slower, limits("decode_tps", "<", 48)),
    broken(slower, limits("errors", ">", 0)),
  ]).toEqual([["decode_tps −10.0 %"], [], ["itl_p50 +11.1 %"], [], ["decode_tps 45"], []]);
});

test("verdicts know which metrics are better when they fall, and cells of one side are named", () => {
  const before = reportOf({ decodeTps: [50, 50.5, 49.5] });
  const { cells, unmatched, warnings } = compare(before, reportOf({ decodeTps: [60, 60.5, 59.5] }), []);
  const verdicts = Object.entries(cells[0]?.changes ?? {}).map(
    ([metric, { verdict }]) => `${metric} ${verdict}`,
  );
  expect(verdicts).toContain("decode_tps better");
  expect(verdicts).toContain("itl_p50 better");
  expect(verdicts).toContain("ttft_p50 same");
  expect([unmatched, warnings]).toEqual([[], []]);
  const elsewhere = { ...reportOf({ name: "other" }), environment: { ...before.environment, cpu: "B" } };
  const other = compare(before, elsewhere, []);
  expect([other.unmatched, other.warnings]).toEqual([
    ["other · m · 10×5 · 1 stream: not in the baseline", "chat · m · 10×5 · 1 stream: only in the baseline"],
    ["the processor differs: A <fast> processor then, B now"],
  ]);
});

test("kernels and threads are compared where both reports know them: of engines in the process that measured", () => {
  const daemon = reportOf();
  const { environment } = daemon;
  const target = { ...environment.target, kind: "in process" as const };
  const own = { ...daemon, environment: { ...environment, target } };
  const set = { ...daemon, environment: { ...own.environment, kernels: "portable", threads: "1" } };
  expect([compare(own, set, []).warnings, compare(daemon, set, []).warnings]).toEqual([
    [
      "the set of kernels differs: exo's own choice then, portable now",
      "the number of threads differs: exo's own choice then, 1 now",
    ],
    [],
  ]);
});

test("the table shows every cell with its spread, what was skipped and what a limit broke", () => {
  const report = reportOf({ decodeTps: [45, 45.5, 44.5] });
  const comparison = compare(reportOf({ decodeTps: [50, 50.5, 49.5] }), report, limits("decode_tps", "-", 5));
  const skipped = [{ what: "scenario failover", reason: "its faults need several nodes" }];
  expect(
    tableReport({ ...report, state: "partial", comparison, skipped, warnings: ["busy"] }),
  ).toMatchInlineSnapshot(`
    "PARTIAL · home · A <fast> processor, 8 cores, 32 GB · exo 1.0.0 (abc1234), daemon · 3 runs · 1 min 15 s
    ! busy
    SCENARIO  MODEL  PROMPT×OUT  LOAD      TTFT P50/P90/P99  ITL P50/P90/P99  PREFILL TOK/S  TOK/S/STREAM  TOK/S TOTAL  CV     VS BASELINE
    chat      m      10×5        1 stream  0.100 0.100 – s   22.2 22.5 – ms   100.0          45.0          26.5         1.1 %  −10.0 % ✗
    p99 is left out below 100 samples
    skipped scenario failover: its faults need several nodes
    compared with home of 2026-11-21T10:11:12.000Z (abc1234); = is within chance (95 % bootstrap over runs), ? has too few runs
    ✗ decode_tps −10.0 % on chat · m · 10×5 · 1 stream (limit -5)
    "
  `);
});

test("runs that vary by more than five per cent are called noisy", () => {
  const noisy = (decodeTps: number[]) => reportOf({ decodeTps }).cells.map((cell) => cell.noisy);
  expect([noisy([50, 60, 40]), noisy([50, 51, 49]), noisy([50])]).toEqual([[true], [false], [false]]);
});

test("CSV quotes what needs it and has a column for every header", () => {
  const [header = "", row = "", end] = csvReport(reportOf({ name: '"a, b"' })).split("\r\n");
  expect([header.split(",").length, row.includes('"a, b"'), end]).toEqual([
    row.replace('"a, b"', "x").split(",").length,
    true,
    "",
  ]);
});

test("Markdown is one table that can be pasted", () => {
  const lines = markdownReport(reportOf()).split("\n");
  expect(lines.filter((line) => line.startsWith("|")).map((line) => line.split("|").length)).toEqual([
    12, 12, 12,
  ]);
});

test("the HTML refers to nothing outside, runs no script and escapes what it shows", () => {
  const html = htmlReport({ ...reportOf(), comparison: compare(reportOf(), reportOf(), []) });
  expect([
    /<script|https?:\/\/(?!127)|src=|href=|url\(|@import/.exec(html)?.[0],
    html.includes("<fast>"),
    html.includes("&lt;fast&gt;"),
  ]).toEqual([undefined, false, true]);
  expect([
    html.match(/<svg/g)?.length,
    html.match(/<\/svg>/g)?.length,
    /NaN|undefined|Infinity/.exec(html),
  ]).toEqual([6, 6, null]);
});

test("in the HTML every picture has words and numbers, every table a header, and both colour schemes are there", () => {
  const energy = {
    joules: 20,
    seconds: 2,
    baselineWatts: 4,
    watts: [[500, 9] as const, [1000, 11] as const],
  };
  const report = reportOf();
  const [cell] = report.cells;
  if (!cell) throw new Error("the sample has a cell");
  const runs = cell.runs.map((run) => ({ ...run, energy }));
  const html = htmlReport({
    ...report,
    state: "partial",
    cells: [
      { ...cell, runs },
      { ...cell, load: "2 streams" },
    ],
  });
  const pictures = html.match(/<svg [^>]*>/g) ?? [];
  const figures = html.match(/<figure>.*?<\/figure>/gs) ?? [];
  expect({
    described:
      pictures.filter((each) => /role="img" aria-label="[^"]+"/.test(each)).length === pictures.length,
    withNumbers: figures.filter((each) => each.includes("<details>") && each.includes("<caption>")).length,
    figures: figures.length,
    captions: [...html.matchAll(/<figcaption>(.*?)<\/figcaption>/g)].map(([, text]) => text),
    tables: html.match(/<table>/g)?.length === html.match(/<thead><tr><th scope="col">/g)?.length,
    dark: html.includes("prefers-color-scheme:dark"),
    partial: html.includes('<span class="state partial">partial</span>'),
  }).toEqual({
    described: true,
    withNumbers: 8,
    figures: 8,
    captions: [
      "Latency over throughput: chat · m · 10×5",
      "Time to first token",
      "Gap between pieces (ITL)",
      "Spread over the runs",
      "Gaps between pieces: chat 10×5, 1 stream",
      "Gaps between pieces: chat 10×5, 2 streams",
      "Power: chat 10×5, 1 stream, first run",
      "The slowest request: chat 10×5, 1 stream",
    ],
    tables: true,
    dark: true,
    partial: true,
  });
});

test("a report to be shared tells no address, no path and no server's words", () => {
  const report = reportOf();
  const [cell] = report.cells;
  if (!cell) throw new Error("the sample has a cell");
  const path = "/home/ann/models/m.gguf";
  const samples = cell.runs.flatMap((run) =>
    run.samples.map((sample) => ({ ...sample, error: "HTTP 500: /home/ann broke" })),
  );
  const told = redacted({
    ...report,
    skipped: [{ what: "placement on ann-studio + mini", reason: "exo runs on one machine" }],
    quality: [{ scenario: "q", model: path, check: "answers", value: 0, count: 1, wrong: ["Who is ann?"] }],
    warnings: [`chat · ${path} · 10×5: requests failed, the first with: HTTP 500 at http://ann.example/v1`],
    cells: [
      { ...cell, key: `chat · ${path} · 10×5`, model: path, runs: [{ repeat: 0, windowMs: 1, samples }] },
    ],
  });
  expect([told.warnings, told.cells[0]?.key, told.cells[0]?.model, told.environment.target.url]).toEqual([
    ["chat · m.gguf · 10×5: requests failed, the first with: (reason)"],
    "chat · m.gguf · 10×5",
    "m.gguf",
    "(address)",
  ]);
  expect(/ann|http:|127\.0/.exec(JSON.stringify(told))?.[0]).toBeUndefined();
});
