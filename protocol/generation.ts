/** What every dialect becomes: a Generation asks, Deltas answer. */
import { type Static, Type as t } from "@sinclair/typebox";
import { RequestId } from "./ids.ts";

const text = t.String();
const integer = (minimum = 0) => t.Integer({ minimum });

/** Users' own numbers: whatever JSON can carry, as it changes one answer only. */
const free = { minimum: -Number.MAX_VALUE, maximum: Number.MAX_VALUE };
const count = t.Integer({ ...free, minimum: 0 });

/** One turn of a conversation, in the words that chat templates know. */
export const ChatMessage = t.Object({
  role: t.Union([t.Literal("system"), t.Literal("user"), t.Literal("assistant"), t.Literal("tool")]),
  content: text,
  name: t.Optional(text),
  reasoning: t.Optional(text),
  toolCallId: t.Optional(text),
  toolCalls: t.Optional(t.Array(t.Object({ id: text, name: text, arguments: text }))),
});
export type ChatMessage = Static<typeof ChatMessage>;

/** What the model continues: a conversation through its template, bare text, or token ids as they are. */
export const Prompt = t.Union([
  t.Object({
    type: t.Literal("messages"),
    messages: t.Array(ChatMessage, { minItems: 1 }),
    /** Extra variables for the chat template (`enable_thinking`, …). */
    templateVariables: t.Optional(t.Record(text, t.Unknown())),
    tools: t.Optional(t.Array(t.Unknown())),
  }),
  t.Object({ type: t.Literal("text"), text }),
  t.Object({ type: t.Literal("tokens"), tokens: t.Array(count, { minItems: 1 }) }),
]);
export type Prompt = Static<typeof Prompt>;

/** How the next token is chosen. What is absent takes the model's own default, then the neutral value. */
export const Sampling = t.Object({
  /** 0 is greedy. */
  temperature: t.Optional(t.Number({ ...free, minimum: 0 })),
  /** The temperature where neither the request nor the model's authors name one; absent: 1. */
  fallbackTemperature: t.Optional(t.Number({ ...free, minimum: 0 })),
  topP: t.Optional(t.Number({ minimum: 0, maximum: 1 })),
  /** 0 keeps all tokens. */
  topK: t.Optional(count),
  minP: t.Optional(t.Number({ minimum: 0, maximum: 1 })),
  /** Sampling is addressed by (seed, position): the same request gives the same text on any split. */
  seed: t.Optional(t.Integer(free)),
  /** 1 is neutral; over the whole context. */
  repetitionPenalty: t.Optional(t.Number({ ...free, exclusiveMinimum: 0 })),
  /** 0 is neutral; over generated tokens. */
  presencePenalty: t.Optional(t.Number(free)),
  frequencyPenalty: t.Optional(t.Number(free)),
  /** Token id (as text, for msgpack and JSON alike) to the amount added to its logit. */
  logitBias: t.Optional(t.Record(text, t.Number(free))),
});
export type Sampling = Static<typeof Sampling>;

/** `rows` tokens went through the model at once, and then again, `times` times in all. */
export const Stride = t.Object({ rows: integer(1), times: integer(1) });
export type Stride = Static<typeof Stride>;

/** The beginning of an answer whose worker was lost: its client has it, so another worker goes on from there. */
export const Resume = t.Object({
  /** Of the answer, in order. They are not chosen again. */
  tokens: t.Array(count),
  /** UTF-16 units of their text that the client has; what these tokens make beyond it comes with what follows. */
  textLength: integer(),
  /** How the prompt was computed; what is computed otherwise may have other last bits. Absent: as if nobody had answered it before. */
  strides: t.Optional(t.Array(Stride)),
});
export type Resume = Static<typeof Resume>;

/** One request to a loaded model. */
export const Generation = t.Object({
  id: RequestId,
  model: text,
  prompt: Prompt,
  sampling: Sampling,
  /** Absent: until the context is full. */
  maxTokens: t.Optional(count),
  /** End tokens and stop strings are not honoured before so many tokens. */
  minTokens: t.Optional(count),
  stop: t.Array(text),
  stopTokens: t.Optional(t.Array(count)),
  /** Go on past the model's end tokens. */
  ignoreEos: t.Optional(t.Boolean()),
  /** Answer with the log-probability of each token and of this many alternatives (0: only its own). */
  logprobs: t.Optional(t.Integer({ minimum: 0, maximum: 20 })),
  /** Also score the prompt: `started` then carries a log-probability per prompt token. */
  promptLogprobs: t.Optional(t.Boolean()),
  /** `started` comes as ever, then only what follows these; the usage counts them, the timings do not. */
  resume: t.Optional(Resume),
});
export type Generation = Static<typeof Generation>;

/** A token with the natural logarithm of its probability; `bytes` are its UTF-8 bytes, maybe part of a character. */
export const TokenScore = t.Object({ id: integer(), text, bytes: t.Array(integer()), logprob: t.Number() });
export type TokenScore = Static<typeof TokenScore>;

/** A chosen token and its best rivals, falling. */
export const TokenLogprob = t.Object({ ...TokenScore.properties, top: t.Array(TokenScore) });
export type TokenLogprob = Static<typeof TokenLogprob>;

export const FinishReason = t.Union([t.Literal("stop"), t.Literal("length")]);
export type FinishReason = Static<typeof FinishReason>;

/** Where the time of one request went. */
export const Timings = t.Object({
  queueMs: t.Number(),
  prefillMs: t.Number(),
  decodeMs: t.Number(),
});
export type Timings = Static<typeof Timings>;

export const Usage = t.Object({
  promptTokens: integer(),
  /** Prompt tokens whose keys and values were found in the prefix cache. */
  cachedTokens: integer(),
  completionTokens: integer(),
});
export type Usage = Static<typeof Usage>;

/** One step of an answer: first `started`, then any number of `text`, last `finish`. */
export const Delta = t.Union([
  t.Object({
    type: t.Literal("started"),
    promptTokens: t.Array(integer()),
    promptLogprobs: t.Optional(t.Array(t.Union([TokenLogprob, t.Null()]))),
    /** The text of each prompt token, beside `promptLogprobs` (whose first entry is null and so has none). */
    promptTexts: t.Optional(t.Array(text)),
  }),
  t.Object({
    type: t.Literal("text"),
    /** Whole characters only; may be empty while a character or a possible stop string is held back. */
    text,
    tokens: t.Array(integer()),
    /** Tokens of the answer before these. */
    index: t.Optional(integer()),
    logprobs: t.Optional(t.Array(TokenLogprob)),
    /** Beside the first of a worker: how the prompt was computed. */
    strides: t.Optional(t.Array(Stride)),
  }),
  t.Object({
    type: t.Literal("finish"),
    reason: FinishReason,
    /** The stop string that ended it, if one did. */
    stop: t.Optional(text),
    usage: Usage,
    timings: Timings,
  }),
]);
export type Delta = Static<typeof Delta>;
