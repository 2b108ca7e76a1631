/** The pictures of a report; each has its numbers as a table too. */
import type { Report, ReportCell } from "../report.ts";
import type { Sample } from "../sample.ts";
import { medianOf, percentile, type Spread } from "../statistics.ts";
import { figure, legend } from "./parts.ts";
import { bars, chart, dots, fromZero, line, type Point, shown, upright, whisker } from "./svg.ts";

const nameOf = ({ scenario, shape, load }: ReportCell): string => `${scenario} ${shape}, ${load}`;

/** Latency over throughput, where a scenario has several loads. */
export function latencyCurves(cells: readonly ReportCell[]): string[] {
  const groups = Map.groupBy(cells, ({ scenario, model, shape: what }) => `${scenario} · ${model} · ${what}`);
  return [...groups].flatMap(([title, group]) => {
    const points = group.flatMap(({ load, summary: { totalTps, ttft } }) =>
      ttft ? [{ x: totalTps, y: ttft.p50 / 1000, label: load }] : [],
    );
    if (points.length < 2) return [];
    const [x, y] = ["output tokens per second, all streams", "time to first token, p50, s"];
    const sorted = points.toSorted((a, b) => a.x - b.x);
    const svg = chart(
      {
        describes: `${title}: ${y} over ${x}`,
        x: { label: x, ...fromZero(points.map((point) => point.x)) },
        y: { label: y, ...fromZero(points.map((point) => point.y)) },
      },
      (frame) => line(sorted, frame) + dots(sorted, frame),
    );
    const rows = points.map((point) => [point.label, shown(point.x), shown(point.y)]);
    return [figure(`Latency over throughput: ${title}`, svg, { headers: ["load", x, y], rows })];
  });
}

interface Which {
  readonly title: string;
  readonly of: (cell: ReportCell) => Spread | undefined;
  /** Milliseconds of one unit. */
  readonly divisor: number;
  readonly unit: string;
}

const SHADES = ["p50", "p90", "p99"] as const;

/** The names under more columns would run into each other. */
const COLUMNS_MOST = 4;

export function percentileBands(cells: readonly ReportCell[], which: Which): string[] {
  const known = cells.flatMap((cell) => {
    const spread = which.of(cell);
    return spread ? [{ cell, spread }] : [];
  });
  return Array.from({ length: Math.ceil(known.length / COLUMNS_MOST) }, (_, i) =>
    bandsFigure(known.slice(i * COLUMNS_MOST, (i + 1) * COLUMNS_MOST), which),
  );
}

function bandsFigure(
  rows: readonly { readonly cell: ReportCell; readonly spread: Spread }[],
  { title, divisor, unit }: Which,
): string {
  const columns = rows.flatMap(({ cell, spread }, at) =>
    SHADES.flatMap((kind) => {
      const value = spread[kind];
      return value === undefined ? [] : [{ cell, at, kind, value: value / divisor }];
    }),
  );
  const ticks = rows.map(({ cell }, i) => [i + 0.5, `${cell.shape} ${cell.load}`] as const);
  const svg = chart(
    {
      describes: `${title}: percentiles of each cell, in ${unit}`,
      x: { label: "", ticks, min: 0, max: rows.length },
      y: { label: unit, ...fromZero(columns.map(({ value }) => value)) },
    },
    (frame) =>
      bars(
        // Beside one another: a band behind another would hide where it begins.
        columns.map(({ at, kind, value }) => ({
          x: at + 0.5 + (SHADES.indexOf(kind) - 1) * 0.2,
          y: value,
          width: 0.18,
          kind,
          title: `${kind} ${shown(value)} ${unit}`,
        })),
        frame,
      ),
  );
  const has99 = rows.some(({ spread }) => spread.p99 !== undefined);
  const key = legend(SHADES.filter((kind) => kind !== "p99" || has99).map((kind) => [kind, kind]));
  const numbers = rows.map(({ cell, spread }) => [
    nameOf(cell),
    ...SHADES.map((kind) => (spread[kind] === undefined ? "–" : shown(spread[kind] / divisor))),
    shown(spread.max / divisor),
    String(spread.count),
  ]);
  const headers = ["cell", ...SHADES.map((kind) => `${kind}, ${unit}`), `most, ${unit}`, "samples"];
  return figure(title, svg + key, { headers, rows: numbers });
}

/** Every run as a dot: what a median of few runs is worth. */
export function runsFigure(cells: readonly ReportCell[]): string {
  const known = cells.flatMap((cell) => {
    const values = cell.perRun.decode_tps ?? cell.perRun.total_tps ?? [];
    return values.length < 2 ? [] : [{ cell, values }];
  });
  if (known.length === 0) return "";
  const shownCells = known.slice(0, ROWS_MOST);
  const height = 60 + shownCells.length * 24;
  const svg = chart(
    {
      describes: "tokens per second of every run, a row for each cell",
      height,
      x: {
        label: "output tokens per second of one answer, by run",
        ...fromZero(known.flatMap(({ values }) => values)),
      },
      y: {
        label: "",
        min: 0,
        max: shownCells.length,
        ticks: rowTicks(shownCells.length),
      },
    },
    (frame) =>
      shownCells
        .map(({ values }, i) => {
          const [least, most] = [Math.min(...values), Math.max(...values)];
          const at = rowAt(i, shownCells.length);
          const points: Point[] = values.map((x) => ({ x, y: at }));
          return whisker({ at, from: least, to: most, value: medianOf(values) }, frame) + dots(points, frame);
        })
        .join(""),
  );
  const rows = known.map(({ cell, values }, i) => [
    `${i + 1} ${nameOf(cell)}`,
    shown(medianOf(values)),
    shown(Math.min(...values)),
    shown(Math.max(...values)),
    cell.variation === undefined ? "–" : `${(cell.variation * 100).toFixed(1)} %`,
  ]);
  return figure("Spread over the runs", svg, { headers: ["cell", "median", "least", "most", "CV"], rows });
}

const ROWS_MOST = 16;

/** The first row is the uppermost. */
const rowAt = (i: number, rows: number): number => rows - i - 0.5;
const rowTicks = (rows: number) =>
  Array.from({ length: rows }, (_, i) => [rowAt(i, rows), String(i + 1)] as const);

const BINS = 48;

/** Counts over values; what lies above the 99.5th percentile is put in the last bin. */
export function gapsFigure(cell: ReportCell): string {
  const gaps = cell.runs.flatMap(({ samples }) =>
    samples.flatMap(({ pieces, error }) => (error === undefined ? pieces.slice(1).map(([gap]) => gap) : [])),
  );
  if (gaps.length === 0) return "";
  const sorted = gaps.toSorted((a, b) => a - b);
  const top = Math.max(1e-9, percentile(sorted, 99.5)) * 1.0001;
  const counts: number[] = Array.from({ length: BINS }, () => 0);
  for (const gap of gaps) {
    const bin = Math.min(BINS - 1, Math.max(0, Math.floor((gap / top) * BINS)));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  const svg = chart(
    {
      describes: `${cell.key}: how many gaps between pieces are how long`,
      x: { label: "ms between pieces", min: 0, max: top },
      y: { label: "pieces", ...fromZero(counts) },
    },
    (frame) =>
      bars(
        counts.map((count, i) => ({
          x: ((i + 0.5) * top) / BINS,
          y: count,
          width: (top / BINS) * 0.9,
          kind: "p50",
        })),
        frame,
      ),
  );
  const rows = [5, 25, 50, 75, 90, 99, 100].map((p) => [`p${p}`, shown(percentile(sorted, p))]);
  return figure(`Gaps between pieces: ${nameOf(cell)}`, svg, { headers: ["percentile", "ms"], rows });
}

/** What was drawn while the first run of a cell went on. */
export function powerFigure(cell: ReportCell): string {
  const energy = cell.runs.find((run) => run.energy !== undefined)?.energy;
  if (!energy || energy.watts.length < 2) return "";
  const points = energy.watts.map(([ms, watts]) => ({ x: ms / 1000, y: watts }));
  const { baselineWatts } = energy;
  const last = points.at(-1)?.x ?? 1;
  const svg = chart(
    {
      describes: `${cell.key}: watts over the seconds of its first run`,
      x: { label: "seconds", ...fromZero(points.map(({ x }) => x)) },
      y: { label: "W", ...fromZero(points.map(({ y }) => y)) },
    },
    (frame) =>
      line(points, frame) +
      (baselineWatts === undefined
        ? ""
        : line(
            [
              { x: 0, y: baselineWatts },
              { x: last, y: baselineWatts },
            ],
            frame,
            "zero",
          )),
  );
  const rows = [
    ["mean", shown(energy.joules / energy.seconds)],
    ["at rest", baselineWatts === undefined ? "not known" : shown(baselineWatts)],
    ["joules of the run", shown(energy.joules)],
  ];
  return figure(`Power: ${nameOf(cell)}, first run`, svg, { headers: ["", "W"], rows });
}

/** Where the time of the slowest answer went, piece by piece. */
export function slowestFigure(cells: readonly ReportCell[]): string {
  const lasting = ({ endMs, scheduledMs }: Sample) => endMs - scheduledMs;
  const worst = cells
    .flatMap((cell) => cell.runs.flatMap(({ samples }) => samples.map((sample) => ({ cell, sample }))))
    .filter(({ sample }) => sample.error === undefined && sample.pieces.length > 1)
    .toSorted((a, b) => lasting(b.sample) - lasting(a.sample))[0];
  if (!worst) return "";
  const { cell, sample } = worst;
  let tokens = 0;
  let ms = sample.sentMs - sample.scheduledMs;
  const points = sample.pieces.map(([gap, count]) => {
    ms += gap;
    tokens += count;
    return { x: ms / 1000, y: tokens };
  });
  const svg = chart(
    {
      describes: `tokens that had come over the seconds since the slowest request was due`,
      x: { label: "seconds since it was due", ...fromZero(points.map(({ x }) => x)) },
      y: { label: "tokens", ...fromZero(points.map(({ y }) => y)) },
    },
    (frame) => line(points, frame),
  );
  const rows = [
    ["sent after it was due", `${shown(sample.sentMs - sample.scheduledMs)} ms`],
    ["first token", `${shown((points[0]?.x ?? 0) * 1000)} ms`],
    ["longest gap", `${shown(Math.max(...sample.pieces.slice(1).map(([gap]) => gap)))} ms`],
    ["end", `${shown(lasting(sample))} ms`],
  ];
  return figure(`The slowest request: ${nameOf(cell)}`, svg, { headers: ["", "since it was due"], rows });
}

/** Changes with their intervals: what crosses the line of 0 may be chance. */
export function changesFigure({ comparison }: Report): string {
  const rows = (comparison?.cells ?? []).flatMap(({ key, changes }) => {
    const change = changes.decode_tps ?? changes.total_tps;
    return change ? [{ key, change }] : [];
  });
  const drawn = rows.slice(0, ROWS_MOST);
  if (drawn.length === 0) return "";
  const bounds = drawn
    .flatMap(({ change }) => [change.ratio, ...(change.interval ?? [])])
    .map((ratio) => ratio * 100);
  const most = Math.max(1, ...bounds.map(Math.abs)) * 1.15;
  const height = 60 + drawn.length * 24;
  const svg = chart(
    {
      describes: "change of tokens per second of each cell, with the interval of 95 %",
      height,
      x: { label: "change of tokens per second, %", min: -most, max: most },
      y: { label: "", min: 0, max: drawn.length, ticks: rowTicks(drawn.length) },
    },
    (frame) =>
      upright(0, frame, height) +
      drawn
        .map(({ change: { ratio, interval = [ratio, ratio] } }, i) =>
          whisker(
            {
              at: rowAt(i, drawn.length),
              from: interval[0] * 100,
              to: interval[1] * 100,
              value: ratio * 100,
            },
            frame,
          ),
        )
        .join(""),
  );
  const numbers = rows.map(({ key, change: { ratio, interval, verdict } }, i) => [
    `${i + 1} ${key}`,
    `${shown(ratio * 100)} %`,
    interval ? interval.map((bound) => `${shown(bound * 100)} %`).join(" … ") : "one run",
    verdict,
  ]);
  return figure("Change against the baseline", svg, {
    headers: ["cell", "change", "95 % interval", "verdict"],
    rows: numbers,
  });
}
