/** What a failed command tells its shell. */
import { Problem, type ProblemKind } from "#protocol/problem";

/** The program's exit codes; README lists them. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  noDaemon: 3,
  notFound: 4,
  doesNotFit: 5,
  network: 6,
  unauthorised: 7,
  busy: 8,
  checkFailed: 9,
  /** A bug of ours (sysexits' EX_SOFTWARE). */
  internal: 70,
  timeout: 124,
  interrupted: 130,
  terminated: 143,
} as const;

/** A Problem whose exit code is not the one of its kind. */
export class CommandProblem extends Problem {
  readonly exitCode: number;

  constructor(
    exitCode: number,
    message: string,
    more: { remedy?: string; param?: string; cause?: unknown } = {},
  ) {
    super(exitCode === EXIT.usage ? "invalid" : "unavailable", message, more);
    this.exitCode = exitCode;
  }
}

/** The command line itself is wrong. */
export const usageProblem = (message: string, remedy?: string): CommandProblem =>
  new CommandProblem(EXIT.usage, message, remedy === undefined ? {} : { remedy });

/** What was typed as one of `fields` can be none: the command line is wrong, whoever found that. Other errors stay what they are. */
export const misspelt = (error: unknown, fields: readonly string[]): unknown =>
  error instanceof Problem && error.kind === "invalid" && fields.includes(error.param?.split(".")[0] ?? "")
    ? usageProblem(error.message, error.remedy)
    : error;

const BY_KIND: Readonly<Record<ProblemKind, number>> = {
  invalid: EXIT.failed,
  contextLength: EXIT.doesNotFit,
  notFound: EXIT.notFound,
  unauthorised: EXIT.unauthorised,
  forbidden: EXIT.unauthorised,
  tooLarge: EXIT.failed,
  overloaded: EXIT.busy,
  unavailable: EXIT.busy,
  doesNotFit: EXIT.doesNotFit,
  network: EXIT.network,
  cancelled: EXIT.interrupted,
  internal: EXIT.failed,
};

/** Anything but a Problem is a bug. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommandProblem) return error.exitCode;
  return error instanceof Problem ? BY_KIND[error.kind] : EXIT.internal;
}
