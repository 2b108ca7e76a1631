/** Tables of text: headers in capitals, two blanks between columns, the widest column cut first. */

export interface TableOptions {
  /** Columns of the terminal; absent where nothing is cut (pipes). */
  readonly width?: number;
  /** Headers are names, left as they are. */
  readonly namesAbove?: boolean;
}

const GAP = 2;
/** No column is cut below this: an ellipsis alone says nothing. */
const LEAST = 8;

/** Lines joined, each ended by a newline; a number on the left means right-aligned is not needed. */
export function table(
  headers: readonly string[],
  rows: readonly (readonly string[])[],
  options: TableOptions = {},
): string {
  const all = [options.namesAbove ? headers : headers.map((each) => each.toUpperCase()), ...rows];
  const widths = headers.map((_, column) =>
    Math.max(...all.map((row) => Bun.stringWidth(row[column] ?? ""))),
  );
  if (options.width !== undefined) shrink(widths, options.width - GAP * (headers.length - 1));
  return all.map((row) => `${line(row, widths).trimEnd()}\n`).join("");
}

function shrink(widths: number[], room: number): void {
  for (let over = widths.reduce((a, b) => a + b, 0) - room; over > 0; over--) {
    const widest = widths.indexOf(Math.max(...widths));
    if ((widths[widest] ?? 0) <= LEAST) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
}

const line = (row: readonly string[], widths: readonly number[]): string =>
  widths.map((width, column) => padded(row[column] ?? "", width)).join(" ".repeat(GAP));

function padded(text: string, width: number): string {
  const cut = cutTo(text, width);
  return cut + " ".repeat(width - Bun.stringWidth(cut));
}

/** At most `width` columns, the last one `…` where something was cut. */
export function cutTo(text: string, width: number): string {
  if (Bun.stringWidth(text) <= width) return text;
  let cut = "";
  let used = 0;
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    const next = Bun.stringWidth(segment);
    if (used + next > width - 1) break;
    cut += segment;
    used += next;
  }
  return `${cut}…`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** `98.1 MB`: decimal units, as disks and hubs count. */
export function shownBytes(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1000 && unit < UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

const AGES: readonly (readonly [number, string])[] = [
  [86_400 * 365, "year"],
  [86_400 * 30, "month"],
  [86_400, "day"],
  [3600, "hour"],
  [60, "minute"],
];

/** `3 days ago`. */
export function shownAge(seconds: number): string {
  for (const [unit, name] of AGES) {
    const count = Math.floor(seconds / unit);
    if (count >= 1) return `${count} ${name}${count === 1 ? "" : "s"} ago`;
  }
  return "just now";
}
