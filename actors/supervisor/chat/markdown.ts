/** An answer shown while it streams: each block is replaced by its rendering once it is complete. */
import { safeText } from "../terminal/safe-text.ts";
import type { Terminal } from "../terminal/terminal.ts";

export interface AnswerView {
  write(text: string): void;
  /** Ends the answer, the cursor at the start of a line. */
  end(): void;
}

/** As the model wrote it. */
export function plainView(terminal: Terminal): AnswerView {
  let last = "\n";
  return {
    write(text) {
      if (text === "") return;
      terminal.out(safeText(text));
      last = text.at(-1) ?? last;
    },
    end: () => last !== "\n" && terminal.out("\n"),
  };
}

/** A block longer than the screen cannot be drawn over; it stays as written. */
export function markdownView(terminal: Terminal, rows: number): AnswerView {
  let block = "";
  let written = "";

  const settle = () => {
    if (block.trim() !== "") replace();
    block = "";
    written = "";
  };
  const replace = () => {
    const columns = terminal.columns();
    const height = rowsOf(written, columns);
    if (height > rows - 1) return;
    const rendered = Bun.markdown.ansi(block, { columns }).replace(/\n+$/, "");
    if (Bun.stripANSI(rendered) === written.trim()) return; // nothing to render: no flicker, and silence for readers
    const tail = written.slice(written.trimEnd().length);
    const up = height > 1 ? `\x1b[${height - 1}A` : "";
    terminal.out(`${up}\r\x1b[J${rendered}${tail}`);
  };
  const add = (text: string) => {
    block += text;
    written += text;
    terminal.out(text);
  };

  return {
    write(text) {
      for (const line of safeText(text).split(/(?<=\n)/)) {
        add(line);
        if (isComplete(block)) settle();
      }
    },
    end() {
      const endsLine = written === "" || written.endsWith("\n");
      settle();
      if (!endsLine) terminal.out("\n");
    },
  };
}

/** A block ends at an empty line, but not inside a fence. */
function isComplete(block: string): boolean {
  const fences = block.match(/^ {0,3}(```|~~~)/gm)?.length ?? 0;
  if (fences % 2 === 1) return false;
  return (
    block.endsWith("\n\n") ||
    (fences > 0 && /^ {0,3}(```|~~~)\s*\n$/m.test(block.slice(block.lastIndexOf("\n", block.length - 2) + 1)))
  );
}

/** Rows that the text takes on the terminal, the one with the cursor included. */
const rowsOf = (text: string, columns: number): number =>
  text.split("\n").reduce((sum, line) => sum + Math.max(1, Math.ceil(Bun.stringWidth(line) / columns)), 0);
