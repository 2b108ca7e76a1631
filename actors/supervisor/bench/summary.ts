/** The figures of a cell; what each of them means is in the report's definitions. */
import { type Static, Type as t } from "@sinclair/typebox";
import type { Frozen } from "./frozen.ts";
import { Spread } from "./statistics.ts";

const perSecond = (of: string) => t.Number({ description: `${of} per second` });

export const EnergySummary = t.Object({
  watts: t.Number({ description: "mean over the runs, with what is drawn at rest" }),
  baselineWatts: t.Optional(t.Number({ description: "at rest, before the first run" })),
  grossWhPerRequest: t.Number(),
  whPerRequest: t.Optional(t.Number({ description: "without what is drawn at rest" })),
  joulesPerToken: t.Optional(t.Number({ description: "per output token, without what is drawn at rest" })),
});
export type EnergySummary = Frozen<Static<typeof EnergySummary>>;

export const Summary = t.Object({
  requests: t.Integer({ minimum: 0 }),
  errors: t.Integer({ minimum: 0, description: "requests that failed, out of all" }),
  promptTokens: t.Number({ description: "mean of the requests that did not fail" }),
  cachedTokens: t.Number(),
  outputTokens: t.Number(),
  ttft: t.Optional(Spread),
  firstReasoning: t.Optional(Spread),
  firstAnswer: t.Optional(Spread),
  itl: t.Optional(Spread),
  itlPerToken: t.Optional(Spread),
  tpot: t.Optional(Spread),
  e2e: t.Optional(Spread),
  normalised: t.Optional(Spread),
  prefillTps: t.Optional(perSecond("prompt tokens")),
  decodeTps: t.Optional(perSecond("output tokens of one answer")),
  totalTps: perSecond("output tokens of all answers"),
  requestsPerS: perSecond("answers"),
  goodput: t.Optional(perSecond("answers that met every limit of slo")),
  clientCpu: t.Optional(t.Number({ description: "cores that the measuring process itself kept busy" })),
  energy: t.Optional(EnergySummary),
});
export type Summary = Frozen<Static<typeof Summary>>;
