/** Progress on stderr: bars redrawn in place on a terminal, one line per milestone elsewhere. */
import type { Clock } from "#actors/runtime/clock";
import { cutTo, shownBytes } from "./table.ts";
import type { Terminal } from "./terminal.ts";

export interface Progress {
  /** A sentence that stays. */
  milestone(text: string): void;
  /** One bar per name; `total` 0 when not yet known. */
  bar(name: string, completed: number, total: number): void;
  /** A line that is replaced by the next, and removed at the end. */
  status(text: string): void;
  /** Removes what can be redrawn; bars that are full stay as milestones. */
  end(): void;
}

interface Bar {
  completed: number;
  total: number;
  readonly startMs: number;
  readonly startedAt: number;
}

/** A redraw costs a write; eyes need no more. */
const REDRAW_MS = 80;
const BAR_CELLS = 16;

export function progressOn(terminal: Terminal, clock: Clock, quiet: boolean): Progress {
  if (quiet) return { milestone() {}, bar() {}, status() {}, end() {} };
  return terminal.redraws ? redrawn(terminal, clock) : lines(terminal);
}

function lines(terminal: Terminal): Progress {
  const done = new Set<string>();
  return {
    milestone: (text) => terminal.err(`${text}\n`),
    bar(name, completed, total) {
      if (total === 0 || completed < total || done.has(name)) return;
      done.add(name);
      terminal.err(`${name} ${shownBytes(total)} done\n`);
    },
    status() {},
    end() {},
  };
}

function redrawn(terminal: Terminal, clock: Clock): Progress {
  const bars = new Map<string, Bar>();
  let status = "";
  let drawn = 0;
  let lastMs = Number.NEGATIVE_INFINITY;

  const erase = () => {
    if (drawn > 0) terminal.err(`\x1b[${drawn}A\r\x1b[J`);
    drawn = 0;
  };
  const draw = (now: number) => {
    const width = Math.max(20, terminal.columns() - 1);
    const shown = [...bars].map(([name, bar]) => cutTo(barLine(name, bar, now), width));
    if (status) shown.push(cutTo(status, width));
    erase();
    terminal.err(shown.map((line) => `${line}\n`).join(""));
    drawn = shown.length;
    lastMs = now;
  };
  const redraw = (now: number) => {
    if (now - lastMs >= REDRAW_MS) draw(now);
  };

  return {
    milestone(text) {
      erase();
      terminal.err(`${text}\n`);
      if (bars.size > 0 || status) draw(clock.nowMs());
    },
    bar(name, completed, total) {
      const now = clock.nowMs();
      const known = bars.get(name);
      if (known) Object.assign(known, { completed, total });
      else bars.set(name, { completed, total, startMs: now, startedAt: completed });
      if (total === 0 || completed < total) return redraw(now);
      erase();
      bars.delete(name);
      terminal.err(`${terminal.errStyle("green", "✓")} ${name} · ${shownBytes(total)}\n`);
      draw(now);
    },
    status(text) {
      status = text;
      redraw(clock.nowMs());
    },
    end() {
      erase();
      bars.clear();
      status = "";
    },
  };
}

function barLine(name: string, { completed, total, startMs, startedAt }: Bar, now: number): string {
  if (total === 0) return `↓ ${name} ${shownBytes(completed)}`;
  const share = Math.min(1, completed / total);
  const full = Math.round(share * BAR_CELLS);
  const cells = "▇".repeat(full) + "▁".repeat(BAR_CELLS - full);
  const perSecond = ((completed - startedAt) * 1000) / Math.max(1, now - startMs);
  const left = perSecond > 0 ? ` · ${shownDuration((total - completed) / perSecond)} left` : "";
  const percent = `${Math.floor(share * 100)} %`.padStart(5);
  return `↓ ${name} ${cells} ${percent}  ${shownBytes(completed)}  ${shownBytes(perSecond)}/s${left}`;
}

function shownDuration(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  return seconds < 3600 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
