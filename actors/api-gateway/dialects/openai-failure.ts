/** Problems as OpenAI's clients know them: https://platform.openai.com/docs/guides/error-codes */
import { type Problem, type ProblemKind, worded } from "#protocol/problem";
import type { Failure, Frame } from "./dialect.ts";
import { Fault, type FaultCode } from "./fault.ts";

interface Row {
  readonly status: number;
  readonly type: string;
  readonly code: string;
  /** Seconds after which asking again makes sense. */
  readonly retryAfter?: number;
  /** Asking again will fail the same way, whatever the status suggests. */
  readonly permanent?: boolean;
}

const rows: Readonly<Record<ProblemKind, Row>> = {
  invalid: { status: 400, type: "invalid_request_error", code: "invalid_value" },
  contextLength: { status: 400, type: "invalid_request_error", code: "context_length_exceeded" },
  notFound: { status: 404, type: "not_found_error", code: "model_not_found" },
  unauthorised: { status: 401, type: "authentication_error", code: "invalid_api_key" },
  forbidden: { status: 403, type: "permission_error", code: "forbidden" },
  tooLarge: { status: 413, type: "invalid_request_error", code: "request_too_large" },
  overloaded: { status: 429, type: "rate_limit_error", code: "rate_limit_exceeded", retryAfter: 1 },
  unavailable: { status: 503, type: "server_error", code: "unavailable", retryAfter: 2 },
  doesNotFit: { status: 503, type: "server_error", code: "no_capacity", retryAfter: 30, permanent: true },
  network: { status: 503, type: "server_error", code: "network", retryAfter: 5 },
  cancelled: { status: 503, type: "server_error", code: "cancelled", retryAfter: 1, permanent: true },
  internal: { status: 500, type: "server_error", code: "internal_error" },
};

const faultStatus: Partial<Record<FaultCode, number>> = {
  method_not_allowed: 405,
  request_timeout: 408,
  unsupported_encoding: 415,
  unsupported_media_type: 415,
};

export const openaiFailure = (problem: Problem): Failure => ({
  ...statusOf(problem),
  body: { error: errorOf(problem) },
});

/** The part of an answer to a failed request that is the same in all dialects. */
export function statusOf(problem: Problem): Omit<Failure, "body"> {
  const row = rows[problem.kind];
  const status = (problem instanceof Fault && faultStatus[problem.code]) || row.status;
  return { status, headers: { ...headersOf(row), ...(problem instanceof Fault && problem.headers) } };
}

export const openaiFailureFrames = (problem: Problem): readonly Frame[] => [
  { error: errorOf(problem) },
  "[DONE]",
];

function errorOf(problem: Problem) {
  const { type, code } = rows[problem.kind];
  return {
    message: worded(problem),
    type,
    param: problem.param ?? null,
    code: problem instanceof Fault ? problem.code : code,
  };
}

/** The big clients obey `x-should-retry` before they look at the status. */
function headersOf({ retryAfter, permanent }: Row): Record<string, string> {
  return {
    ...(retryAfter !== undefined && {
      "retry-after": String(retryAfter),
      "retry-after-ms": String(retryAfter * 1000),
    }),
    ...(permanent && { "x-should-retry": "false" }),
  };
}
