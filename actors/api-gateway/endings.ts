/** Why an answer is not gone on with, in words. */
import type { Address } from "#protocol/ids";
import type { ProblemBody } from "#protocol/problem";

const AGAIN = "send the request again";

export const gone = (worker: Address): ProblemBody => ({
  kind: "unavailable",
  message: `the worker ${worker} went away before it took the request`,
  remedy: AGAIN,
});

export const missing = (tokens: number): ProblemBody => ({
  kind: "unavailable",
  message: `what follows token ${tokens} of the answer was lost on its way`,
  remedy: AGAIN,
});

export const unread = (deltas: number): ProblemBody => ({
  kind: "overloaded",
  message: `the client left ${deltas} pieces of its answer unread`,
});

/** Big clients send again what failed by itself; this they shall not. */
export const poisonous = ({ message }: ProblemBody, tokens: number): ProblemBody => ({
  kind: "cancelled",
  message: `two workers ended one after the other at token ${tokens + 1} of this answer, the last so: ${message}`,
  remedy: "the request may be what ends them: change it before it is sent again",
});

export const cutOff = (problem: ProblemBody, tokens: number, workers: number): ProblemBody => {
  const where = tokens === 0 ? "before its first token" : `after token ${tokens}`;
  const others = workers === 1 ? "no other worker goes" : `after ${workers} workers none goes`;
  return {
    kind: problem.kind,
    message: `the answer was cut off ${where}, and ${others} on with it: ${problem.message}`,
    remedy: problem.remedy ?? AGAIN,
  };
};
