/**
 * Small charts as SVG text: they need no script, print well and stay sharp, which is why no chart library is inlined.
 * Colours are classes of the page's style, and no meaning hangs on a colour alone.
 */

export const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

const WIDTH = 680;
const HEIGHT = 270;
const MARGIN = { left: 64, right: 20, top: 14, bottom: 44 };

export interface Axis {
  readonly label: string;
  /** Instead of round numbers. */
  readonly ticks?: readonly (readonly [value: number, label: string])[];
}

interface Range {
  readonly min: number;
  readonly max: number;
}

export interface Chart {
  /** What a reader who sees no picture is told. */
  readonly describes: string;
  readonly x: Axis & Range;
  readonly y: Axis & Range;
  readonly height?: number;
}

interface Frame {
  x(value: number): number;
  y(value: number): number;
}

export function chart({ describes, x, y, height = HEIGHT }: Chart, draw: (frame: Frame) => string): string {
  const plot = { width: WIDTH - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
  const frame: Frame = {
    x: (value) => MARGIN.left + ((value - x.min) / (x.max - x.min)) * plot.width,
    y: (value) => MARGIN.top + (1 - (value - y.min) / (y.max - y.min)) * plot.height,
  };
  const bottom = height - MARGIN.bottom;
  const rows = ticksFor(y).map(([value, label]) => {
    const at = px(frame.y(value));
    return `<line class="grid" x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${at}" y2="${at}"/><text class="tick" x="${MARGIN.left - 7}" y="${px(frame.y(value) + 4)}" text-anchor="end">${escaped(label)}</text>`;
  });
  const columns = ticksFor(x).map(
    ([value, label]) =>
      `<text class="tick" x="${px(frame.x(value))}" y="${bottom + 17}" text-anchor="middle">${escaped(label)}</text>`,
  );
  const middle = MARGIN.top + plot.height / 2;
  const titles = [
    `<text class="axis" x="${MARGIN.left + plot.width / 2}" y="${height - 6}" text-anchor="middle">${escaped(x.label)}</text>`,
    `<text class="axis" x="14" y="${middle}" text-anchor="middle" transform="rotate(-90 14 ${middle})">${escaped(y.label)}</text>`,
  ];
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(describes)}">${rows.join("")}${columns.join("")}${titles.join("")}${draw(frame)}</svg>`;
}

const px = (value: number): string => value.toFixed(1);

export const shown = (value: number): string => String(Number(value.toPrecision(3)));

function ticksFor({ min, max, ticks }: Axis & Range): readonly (readonly [number, string])[] {
  return ticks ?? roundNumbers(min, max).map((value) => [value, shown(value)] as const);
}

/** About five round numbers between two. */
function roundNumbers(min: number, max: number): number[] {
  const rough = (max - min) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((each) => each * power >= rough) ?? 10) * power;
  const first = Math.ceil(min / step);
  return Array.from(
    { length: Math.max(0, Math.floor(max / step) - first + 1) },
    (_, i) => (first + i) * step,
  );
}

/** From 0, so that a difference looks as large as it is, with room above the largest. */
export const fromZero = (values: readonly number[]): Range => ({
  min: 0,
  max: values.reduce((most, value) => Math.max(most, value), 1e-9) * 1.08,
});

export interface Point {
  readonly x: number;
  readonly y: number;
  readonly label?: string;
}

/** Points in their order, joined. */
export const line = (points: readonly Point[], { x, y }: Frame, kind = "line"): string =>
  `<polyline class="${kind}" points="${points.map((point) => `${px(x(point.x))},${px(y(point.y))}`).join(" ")}"/>`;

/** A name stands on the side of its point that has room. */
export const dots = (points: readonly Point[], { x, y }: Frame): string =>
  points
    .map((point) => {
      const [left, top] = [x(point.x), y(point.y)];
      const isRight = left > WIDTH * 0.75;
      const text = point.label
        ? `<text class="mark" x="${px(left + (isRight ? -8 : 8))}" y="${px(top - 7)}" text-anchor="${isRight ? "end" : "start"}">${escaped(point.label)}</text>`
        : "";
      return `<circle class="dot" cx="${px(left)}" cy="${px(top)}" r="4"/>${text}`;
    })
    .join("");

export interface Bar {
  readonly x: number;
  readonly y: number;
  /** In units of the axis. */
  readonly width: number;
  readonly kind: string;
  /** Shown when pointed at. */
  readonly title?: string;
}

export const bars = (all: readonly Bar[], { x, y }: Frame): string =>
  all
    .map((bar) => {
      const [left, right] = [x(bar.x - bar.width / 2), x(bar.x + bar.width / 2)];
      const title = bar.title === undefined ? "" : `<title>${escaped(bar.title)}</title>`;
      return `<rect class="${bar.kind}" x="${px(left)}" y="${px(y(bar.y))}" width="${px(Math.max(0.5, right - left))}" height="${px(Math.max(0, y(0) - y(bar.y)))}">${title}</rect>`;
    })
    .join("");

/** A value with its interval, lying. */
export const whisker = (
  { at, from, to, value }: { at: number; from: number; to: number; value: number },
  { x, y }: Frame,
): string =>
  `<line class="whisker" x1="${px(x(from))}" x2="${px(x(to))}" y1="${px(y(at))}" y2="${px(y(at))}"/><circle class="dot" cx="${px(x(value))}" cy="${px(y(at))}" r="4"/>`;

export const upright = (value: number, { x }: Frame, height = HEIGHT): string =>
  `<line class="zero" x1="${px(x(value))}" x2="${px(x(value))}" y1="${MARGIN.top}" y2="${height - MARGIN.bottom}"/>`;
