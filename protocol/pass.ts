/**
 * One pass through the layers of a model that several workers hold: a chunk of a prompt, or a token of each of several answers. Its
 * body is the hidden state between two stages: raw, little endian, row-major [rows, hidden], the rows of all feeds in their order;
 * none on the way to the first stage.
 */
import { type Static, Type as t } from "@sinclair/typebox";
import { ProblemBody } from "./problem.ts";

/** Chosen by the last stage, never twice within an epoch. */
const sequence = t.Integer({ minimum: 0 });
const tokens = t.Integer({ minimum: 0 });

/** More sequences than any engine holds at once; a pass ends what it no longer needs in the same number of words. */
const OPERATIONS_MAX = 1024;
/** Answers that are computed together. */
const FEEDS_MAX = 256;
/** Tokens of one chunk of a prompt. */
const TOKENS_MAX = 65_536;

/** What happens to sequences before anything is fed, on every stage alike and in this order. */
export const SequenceOperation = t.Union([
  t.Object({ type: t.Literal("dispose"), sequence }),
  /** `sequence` begins as the first `length` tokens of `from`. */
  t.Object({ type: t.Literal("fork"), from: sequence, sequence, length: tokens }),
  t.Object({ type: t.Literal("cut"), sequence, length: tokens }),
]);
export type SequenceOperation = Static<typeof SequenceOperation>;

/** The next tokens of one sequence. One that is not known begins, where `position` is 0. */
export const SequenceFeed = t.Object({
  sequence,
  /** Tokens it holds before. A stage where it holds another number has lost it. */
  position: tokens,
  count: t.Integer({ minimum: 1, maximum: TOKENS_MAX }),
  /** `count` of them, on the way to the first stage only. */
  tokens: t.Optional(t.Array(tokens, { maxItems: TOKENS_MAX })),
});
export type SequenceFeed = Static<typeof SequenceFeed>;

/** A sequence that a stage cannot go on with; it is no longer among the feeds, and its caches there are gone. */
export const LostSequence = t.Object({
  sequence,
  /** Why; absent where the sequence itself is not known to be at fault, so that it is worth another try by itself. */
  problem: t.Optional(ProblemBody),
});
export type LostSequence = Static<typeof LostSequence>;

/** Of a body; `int8`: the codes of all rows, then for each 128 values of a row their scale and their largest (engine/hidden-8bit.ts). */
export const SentType = t.Union([
  t.Literal("float32"),
  t.Literal("float16"),
  t.Literal("bfloat16"),
  t.Literal("int8"),
]);
export type SentType = Static<typeof SentType>;
/** What it is computed in. */
export type HiddenType = Exclude<SentType, "int8">;

/** How hidden state goes from one stage to the next: as it is computed, or in 8 bits (off unless asked for). */
export const HIDDEN_WISHES = ["full", "8bit"] as const;
export const HiddenWish = t.Union([t.Literal("full"), t.Literal("8bit")]);
export type HiddenWish = Static<typeof HiddenWish>;
/** Where it is not as it is computed. */
export const HiddenForm = t.Literal("8bit");
export type HiddenForm = Static<typeof HiddenForm>;

/** The fields of `ShardWorker.Pass`. */
export const Pass = t.Object({
  instance: t.String({ minLength: 1, maxLength: 256 }),
  epoch: t.Integer({ minimum: 0 }),
  /** From 0 in each epoch, without gaps. */
  number: t.Integer({ minimum: 0 }),
  ops: t.Array(SequenceOperation, { maxItems: OPERATIONS_MAX }),
  /** One of any number of tokens, or several of one token each; none where all were lost on the way. */
  feeds: t.Array(SequenceFeed, { maxItems: FEEDS_MAX }),
  /** Of the last stage: nothing but full caches, logits of the last token, or of each. */
  wanted: t.Union([t.Literal("hidden"), t.Literal("last"), t.Literal("all")]),
  /** Of the body, where there is one. */
  hiddenType: t.Optional(SentType),
  lost: t.Optional(t.Array(LostSequence, { maxItems: FEEDS_MAX })),
});
export type Pass = Static<typeof Pass>;
