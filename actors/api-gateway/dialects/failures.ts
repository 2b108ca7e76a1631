/** A failure in the words of whom the address belongs to, also where none of its routes answers. */
import { type Problem, type ProblemKind, worded } from "#protocol/problem";
import type { Failure } from "./dialect.ts";
import { openaiFailure, statusOf } from "./openai-failure.ts";

/** `requestId` is the one that the answer's headers bear. */
export type FailureOf = (problem: Problem, requestId: string) => Failure;

export function failureAt(path: string): FailureOf {
  if (/^(\/v1)?\/v1\/messages(\/|$)/.test(path)) return anthropicFailure;
  return /^(\/ollama)?\/api(\/|$)/.test(path) ? ollamaFailure : openaiFailure;
}

/** https://docs.anthropic.com/en/api/errors */
const anthropicFailure: FailureOf = (problem, requestId) => {
  const { status, headers } = statusOf(problem);
  const error = { type: ANTHROPIC_TYPES[problem.kind], message: worded(problem) };
  return {
    status,
    headers: { ...headers, "request-id": requestId },
    body: { type: "error", error, request_id: requestId },
  };
};

const ANTHROPIC_TYPES: Readonly<Record<ProblemKind, string>> = {
  invalid: "invalid_request_error",
  contextLength: "invalid_request_error",
  notFound: "not_found_error",
  unauthorised: "authentication_error",
  forbidden: "permission_error",
  tooLarge: "request_too_large",
  overloaded: "rate_limit_error",
  unavailable: "overloaded_error",
  doesNotFit: "overloaded_error",
  network: "api_error",
  cancelled: "api_error",
  internal: "api_error",
};

/** https://github.com/ollama/ollama/blob/main/docs/api.md: one text under `error`. */
const ollamaFailure: FailureOf = (problem) => ({
  ...statusOf(problem),
  body: { error: worded(problem) },
});
