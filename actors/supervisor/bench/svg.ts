/**
 * Small charts as SVG text: they need no script, print well and stay sharp, which is why no chart library is inlined.
 * Colours are classes of the page's style.
 */

export const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

const [WIDTH, HEIGHT] = [640, 260];
const MARGIN = { left: 64, right: 16, top: 12, bottom: 40 };
const PLOT = { width: WIDTH - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };

interface Axis {
  readonly label: string;
  readonly max: number;
}

interface Frame {
  x(value: number): number;
  y(value: number): number;
}

/** Both axes begin at 0: a difference looks as large as it is. */
function chart(
  x: Axis & { readonly ticks?: readonly [number, string][] },
  y: Axis,
  draw: (frame: Frame) => string,
): string {
  const frame: Frame = {
    x: (value) => MARGIN.left + (value / x.max) * PLOT.width,
    y: (value) => MARGIN.top + (1 - value / y.max) * PLOT.height,
  };
  const bottom = HEIGHT - MARGIN.bottom;
  const xTicks = x.ticks ?? ticksOf(x.max).map((value): [number, string] => [value, shown(value)]);
  const grid = ticksOf(y.max).map(
    (value) =>
      `<line class="grid" x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${at(frame.y(value))}" y2="${at(frame.y(value))}"/>` +
      `<text class="tick" x="${MARGIN.left - 6}" y="${at(frame.y(value) + 4)}" text-anchor="end">${shown(value)}</text>`,
  );
  const below = xTicks.map(
    ([value, label]) =>
      `<text class="tick" x="${at(frame.x(value))}" y="${bottom + 16}" text-anchor="middle">${escaped(label)}</text>`,
  );
  const titles =
    `<text class="axis" x="${MARGIN.left + PLOT.width / 2}" y="${HEIGHT - 6}" text-anchor="middle">${escaped(x.label)}</text>` +
    `<text class="axis" x="14" y="${MARGIN.top + PLOT.height / 2}" text-anchor="middle" transform="rotate(-90 14 ${MARGIN.top + PLOT.height / 2})">${escaped(y.label)}</text>`;
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(`${y.label} over ${x.label}`)}">${grid.join("")}${below.join("")}${titles}${draw(frame)}</svg>`;
}

const at = (value: number): string => value.toFixed(1);

const shown = (value: number): string => String(Number(value.toPrecision(3)));

/** About five round numbers from 0 to `max`. */
function ticksOf(max: number): number[] {
  const rough = max / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((each) => each * power >= rough) ?? 10) * power;
  return Array.from({ length: Math.floor(max / step) + 1 }, (_, i) => i * step);
}

export interface Point {
  readonly x: number;
  readonly y: number;
  readonly label: string;
}

export function curve(points: readonly Point[], labels: { readonly x: string; readonly y: string }): string {
  const sorted = points.toSorted((a, b) => a.x - b.x);
  return chart(
    { label: labels.x, max: topOf(points.map(({ x }) => x)) },
    { label: labels.y, max: topOf(points.map(({ y }) => y)) },
    ({ x, y }) => {
      const path = sorted.map((point) => `${at(x(point.x))},${at(y(point.y))}`).join(" ");
      // A long line of points without names is only a line.
      const dots = sorted
        .filter(({ label }) => label !== "")
        .map(
          (point) =>
            `<circle class="dot" cx="${at(x(point.x))}" cy="${at(y(point.y))}" r="4"/>` +
            `<text class="mark" x="${at(x(point.x) - 6)}" y="${at(y(point.y) - 8)}" text-anchor="end">${escaped(point.label)}</text>`,
        );
      return `<polyline class="line" points="${path}"/>${dots.join("")}`;
    },
  );
}

/** Room above the largest value. */
const topOf = (values: readonly number[]): number => Math.max(1e-9, ...values) * 1.08;

export interface Bands {
  readonly label: string;
  /** Ascending, such as p50, p90, p99. */
  readonly values: readonly number[];
}

/** One column per row, its values behind one another. */
export function bands(rows: readonly Bands[], label: string): string {
  const ticks = rows.map((row, i): [number, string] => [i + 0.5, row.label]);
  return chart(
    { label: "", max: rows.length, ticks },
    { label, max: topOf(rows.flatMap(({ values }) => values)) },
    ({ x, y }) =>
      rows
        .map(({ values }, i) =>
          values
            .toReversed()
            .map((value, behind) => {
              const width = (PLOT.width / rows.length) * 0.6;
              const shade = values.length - 1 - behind;
              return `<rect class="band${shade}" x="${at(x(i + 0.5) - width / 2)}" y="${at(y(value))}" width="${at(width)}" height="${at(y(0) - y(value))}"><title>${shown(value)}</title></rect>`;
            })
            .join(""),
        )
        .join(""),
  );
}

const BINS = 48;

/** Counts over values; what lies above the 99.5th percentile is put in the last bin. */
export function histogram(
  values: readonly number[],
  labels: { readonly x: string; readonly y: string },
): string {
  const sorted = values.toSorted((a, b) => a - b);
  const top = Math.max(1e-9, sorted[Math.floor((sorted.length - 1) * 0.995)] ?? 1) * 1.0001;
  const counts: number[] = Array.from({ length: BINS }, () => 0);
  for (const value of values) {
    const bin = Math.min(BINS - 1, Math.floor((value / top) * BINS));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return chart({ label: labels.x, max: top }, { label: labels.y, max: topOf(counts) }, ({ x, y }) =>
    counts
      .map((count, i) => {
        const left = x((i * top) / BINS);
        return `<rect class="band0" x="${at(left)}" y="${at(y(count))}" width="${at(PLOT.width / BINS - 1)}" height="${at(y(0) - y(count))}"/>`;
      })
      .join(""),
  );
}
