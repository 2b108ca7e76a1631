/** What one request showed, and one run of many. Times are milliseconds since the start of the run. */
import { type Static, Type as t } from "@sinclair/typebox";
import type { Frozen } from "./frozen.ts";

const ms = (description: string) => t.Number({ description: `${description}, ms` });
const count = (description: string) => t.Number({ minimum: 0, description });

const Piece = t.Tuple([ms("after the piece before (the first: after sentMs)"), count("its tokens")]);

export const Sample = t.Object({
  scheduledMs: ms("when it was to be sent; later sending is latency too"),
  sentMs: ms("when it was sent"),
  firstMs: t.Optional(ms("first piece that bears a token, whether thought or answered")),
  firstReasoningMs: t.Optional(ms("first piece that was thought")),
  firstAnswerMs: t.Optional(ms("first piece that was answered, where some were thought")),
  endMs: ms("last byte"),
  pieces: t.Array(Piece, { description: "each piece that bears tokens" }),
  promptTokens: count("as the target counts them"),
  cachedTokens: count("of the prompt, as the target tells"),
  outputTokens: count("of the answer, thoughts included"),
  queueMs: t.Optional(ms("what the target says it waited before it began")),
  finish: t.Optional(t.String()),
  error: t.Optional(
    t.String({ description: "why it failed; such a request counts as a failure and in no latency" }),
  ),
});
export type Sample = Frozen<Static<typeof Sample>>;
export type Piece = readonly [gapMs: number, tokens: number];

/** Of the whole run, with what came after its window. */
export const Energy = t.Object({
  joules: t.Number({ description: "of the source, with what it draws at rest" }),
  seconds: t.Number(),
  baselineWatts: t.Optional(t.Number({ description: "drawn at rest, before the first run" })),
  watts: t.Array(
    t.Tuple([ms("since the run's start"), t.Number({ description: "mean since the one before" })]),
  ),
});
export type Energy = Frozen<Static<typeof Energy>>;

export const Run = t.Object({
  repeat: t.Integer({ minimum: 0 }),
  windowMs: ms("from the run's start; tokens that came in it count for the system's rate"),
  fills: t.Optional(
    t.Array(t.Tuple([ms("from"), ms("to")]), {
      description: "while a context was filled: no part of the window, nor is what arrived meanwhile",
    }),
  ),
  samples: t.Array(Sample),
  clientCpu: t.Optional(t.Number({ description: "cores that the measuring process itself kept busy" })),
  energy: t.Optional(Energy),
});
export type Run = Frozen<Static<typeof Run>>;
