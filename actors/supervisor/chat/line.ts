/** The text being typed and where the cursor stands in it; every change gives a new one. Pure. */

export interface Line {
  readonly text: string;
  /** Index into text, always between two characters as people see them. */
  readonly cursor: number;
}

export const emptyLine: Line = { text: "", cursor: 0 };

export const lineOf = (text: string): Line => ({ text, cursor: text.length });

export const inserted = ({ text, cursor }: Line, more: string): Line => ({
  text: text.slice(0, cursor) + more + text.slice(cursor),
  cursor: cursor + more.length,
});

export const moved = ({ text }: Line, cursor: number): Line => ({ text, cursor });

/** Removes from `start` to `end`. */
export const without = ({ text }: Line, start: number, end: number): Line => ({
  text: text.slice(0, start) + text.slice(end),
  cursor: start,
});

const segmenter = new Intl.Segmenter();

/** Index of the character before the cursor. */
export function before({ text, cursor }: Line): number {
  const start = Math.max(text.lastIndexOf("\n", cursor - 1), 0);
  let last = start;
  for (const { index } of segmenter.segment(text.slice(start, cursor))) last = start + index;
  return last;
}

/** Index behind the character at the cursor. */
export function after({ text, cursor }: Line): number {
  for (const { segment } of segmenter.segment(text.slice(cursor))) return cursor + segment.length;
  return cursor;
}

export function wordBefore({ text, cursor }: Line): number {
  const [word = ""] = /\S*\s*$/.exec(text.slice(0, cursor)) ?? [];
  return cursor - word.length;
}

export function wordAfter({ text, cursor }: Line): number {
  const [word = ""] = /^\s*\S*/.exec(text.slice(cursor)) ?? [];
  return cursor + word.length;
}

export const rowStart = ({ text, cursor }: Line): number => text.lastIndexOf("\n", cursor - 1) + 1;

export function rowEnd({ text, cursor }: Line): number {
  const end = text.indexOf("\n", cursor);
  return end < 0 ? text.length : end;
}

/** The same column one row up or down; undefined where there is none. */
export function rowMoved(line: Line, by: -1 | 1): Line | undefined {
  const start = rowStart(line);
  const column = line.cursor - start;
  const next = by < 0 ? start - 1 : rowEnd(line) + 1;
  if (next < 0 || next > line.text.length) return undefined;
  const at = by < 0 ? rowStart(moved(line, next)) : next;
  const wanted = Math.min(at + column, rowEnd(moved(line, at)));
  return moved(line, wanted > at ? after(moved(line, before(moved(line, wanted)))) : at);
}

/** Rows on a terminal of so many columns, and where its cursor goes. `first` and `next` stand before each typed row. */
export function layout(line: Line, columns: number, { first, next }: { first: string; next: string }) {
  const rows: string[] = [];
  let current = first;
  let width = Bun.stringWidth(first);
  let cursor = { row: 0, column: width };
  const at = (index: number) => {
    if (index === line.cursor) cursor = { row: rows.length, column: width };
  };
  const wrap = (prefix: string) => {
    rows.push(current);
    current = prefix;
    width = Bun.stringWidth(prefix);
  };
  for (const { segment, index } of segmenter.segment(line.text)) {
    if (segment === "\n") {
      at(index);
      wrap(next);
      continue;
    }
    const shown = segment === "\t" ? "    " : segment;
    const cells = Bun.stringWidth(shown);
    if (width + cells > columns) wrap("");
    at(index);
    current += shown;
    width += cells;
  }
  if (width >= columns) wrap("");
  at(line.text.length);
  rows.push(current);
  return { rows, cursor };
}
