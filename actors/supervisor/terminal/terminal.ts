/** The three standard streams as commands see them: answers to stdout, everything else to stderr. */
import type { Config } from "../home/config.ts";

export interface Terminal {
  /** The answer itself. */
  out(text: string): void;
  /** Progress, statistics, warnings. */
  err(text: string): void;
  readonly inIsTerminal: boolean;
  readonly outIsTerminal: boolean;
  readonly errIsTerminal: boolean;
  /** Lines may be redrawn on stderr. */
  readonly redraws: boolean;
  columns(): number;
  /** Wraps text in a style where the stream shows colours. */
  readonly outStyle: Style;
  readonly errStyle: Style;
}

export type StyleName = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";
export type Style = (name: StyleName, text: string) => string;

/** ANSI select graphic rendition: ECMA-48, section 8.3.117. */
const CODES: Readonly<Record<StyleName, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
};

const coloured: Style = (name, text) => `\x1b[${CODES[name][0]}m${text}\x1b[${CODES[name][1]}m`;
const plain: Style = (_, text) => text;

const COLUMNS_UNKNOWN = 80;

export function terminalOf({ terminal }: Config): Terminal {
  const { stdin, stdout, stderr } = process;
  const styleOf = (isTerminal: boolean) => ((terminal.color ?? isTerminal) ? coloured : plain);
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    inIsTerminal: stdin.isTTY === true,
    outIsTerminal: stdout.isTTY === true,
    errIsTerminal: stderr.isTTY === true,
    redraws: stderr.isTTY === true && !terminal.dumb && !terminal.accessible,
    columns: () => terminal.columns ?? (stderr.columns || stdout.columns || COLUMNS_UNKNOWN),
    outStyle: styleOf(stdout.isTTY === true),
    errStyle: styleOf(stderr.isTTY === true),
  };
}

/** A reader that left (`exo ls | head -1`) is no failure of ours: leave quietly. */
export function quietOnClosedPipe(): void {
  const leave = (error: Error & { code?: string }) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  };
  process.stdout.on("error", leave);
  process.stderr.on("error", leave);
}

/** Resolves once what was written has left the process, so that an exit cuts nothing. */
export async function flushed(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    await new Promise<void>((resolve) => stream.write("", () => resolve()));
  }
}
