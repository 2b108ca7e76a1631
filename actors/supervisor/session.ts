/** What every command is given. */
import type { Clock } from "#actors/runtime/clock";
import type { BuildFacts } from "./home/build-facts.ts";
import type { Config } from "./home/config.ts";
import type { Progress } from "./terminal/progress.ts";
import type { Terminal } from "./terminal/terminal.ts";

export interface Session {
  readonly build: BuildFacts;
  readonly config: Config;
  readonly terminal: Terminal;
  readonly progress: Progress;
  readonly clock: Clock;
  /** Aborted by Ctrl-C, SIGTERM or --timeout. */
  readonly signal: AbortSignal;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** Questions are answered with yes. */
  readonly yes: boolean;
}

/** Prints one answer of `--json`; `name` is the command, its shape's version 1. */
export function printJson({ terminal }: Session, name: string, fields: object): void {
  terminal.out(`${JSON.stringify({ schema: `exo.${name}/1`, ...fields })}\n`);
}
