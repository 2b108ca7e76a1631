/** The line being typed, drawn in place on a raw terminal. */
import type { Terminal } from "../terminal/terminal.ts";
import * as typed from "./line.ts";

/** Before every row but the first. */
const NEXT = "... ";

/** Draws the line over what it drew before. */
export class Screen {
  readonly #terminal: Terminal;
  /** Row of the cursor within what is drawn. */
  #row = 0;
  #drawn: { rows: readonly string[]; text: string; atEnd: boolean } | undefined;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  draw(line: typed.Line, first: string): void {
    const { rows, cursor } = typed.layout(line, this.#terminal.columns(), { first, next: NEXT });
    if (this.#appended(rows, line)) return;
    const up = this.#row > 0 ? `\x1b[${this.#row}A` : "";
    const back = rows.length - 1 - cursor.row;
    const rise = back > 0 ? `\x1b[${back}A` : "";
    this.#terminal.out(
      `${up}\r\x1b[J${rows.join("\r\n")}${rise}\r${cursor.column > 0 ? `\x1b[${cursor.column}C` : ""}`,
    );
    this.#row = cursor.row;
    this.#drawn = { rows, text: line.text, atEnd: line.cursor === line.text.length };
  }

  /** Typing at the end of a row only writes what is new: less flicker, and screen readers say just that. */
  #appended(rows: readonly string[], line: typed.Line): boolean {
    const drawn = this.#drawn;
    const last = rows.at(-1) ?? "";
    const before = drawn?.rows.at(-1) ?? "";
    if (!drawn?.atEnd || rows.length !== drawn.rows.length || line.cursor !== line.text.length) return false;
    if (!line.text.startsWith(drawn.text) || !last.startsWith(before) || this.#row !== rows.length - 1)
      return false;
    this.#terminal.out(last.slice(before.length));
    this.#drawn = { rows, text: line.text, atEnd: true };
    return true;
  }

  /** Leaves what was typed on the screen and goes below it. */
  leave(line: typed.Line, first: string): void {
    this.draw(typed.lineOf(line.text), first);
    this.#terminal.out("\r\n");
    this.#row = 0;
    this.#drawn = undefined;
  }

  clear(): void {
    this.#terminal.out("\x1b[H\x1b[2J");
    this.#row = 0;
    this.#drawn = undefined;
  }
}
