/** The one error that a caller can act on. Everything else that is thrown is a bug or a native failure. */
import { type Static, Type as t } from "@sinclair/typebox";

/** What kind of trouble it is; dialects turn it into a status, the command line into an exit code. */
export const ProblemKind = t.Union([
  t.Literal("invalid"), // the request itself is wrong
  t.Literal("contextLength"), // the prompt does not fit the model's context
  t.Literal("notFound"), // no such model, file or request
  t.Literal("unauthorised"),
  t.Literal("forbidden"),
  t.Literal("tooLarge"), // a body or file over its limit
  t.Literal("overloaded"), // a queue is full: try later
  t.Literal("unavailable"), // the model is loading or its worker was lost: try again
  t.Literal("doesNotFit"), // not enough memory or disk
  t.Literal("network"), // a download or a peer failed
  t.Literal("cancelled"),
  t.Literal("internal"),
]);
export type ProblemKind = Static<typeof ProblemKind>;

/** A problem as it travels inside a message. */
export const ProblemBody = t.Object({
  kind: ProblemKind,
  message: t.String(),
  /** The offending field, in the spelling of the request, where there is one. */
  param: t.Optional(t.String()),
  /** What to do about it, one line. */
  remedy: t.Optional(t.String()),
});
export type ProblemBody = Static<typeof ProblemBody>;

/** An expected failure: what was wrong with which value, why, and what to do. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly kind: ProblemKind;
  readonly param?: string;
  readonly remedy?: string;

  constructor(
    kind: ProblemKind,
    message: string,
    more: { param?: string; remedy?: string; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.kind = kind;
    if (more.param !== undefined) this.param = more.param;
    if (more.remedy !== undefined) this.remedy = more.remedy;
  }
}

/** The problem as plain data, for a message; anything that is not a Problem becomes `internal`. */
export function problemBody(error: unknown): ProblemBody {
  if (!(error instanceof Problem)) {
    return { kind: "internal", message: error instanceof Error ? error.message : String(error) };
  }
  const { kind, message, param, remedy } = error;
  return { kind, message, ...(param !== undefined && { param }), ...(remedy !== undefined && { remedy }) };
}

/** What went wrong and what to do, on one line. */
export function worded(error: unknown): string {
  const { message, remedy } = problemBody(error);
  return remedy ? `${message}; ${remedy}` : message;
}

/** The inverse of `problemBody`. */
export const problemOf = ({ kind, message, ...more }: ProblemBody): Problem =>
  new Problem(kind, message, more);
