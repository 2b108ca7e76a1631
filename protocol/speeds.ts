/** How fast machines compute, as they measure it themselves. */
import { type Static, Type as t } from "@sinclair/typebox";
import { NodeId } from "./ids.ts";
import { ProblemBody } from "./problem.ts";
import { LayerRange } from "./shard.ts";

/** More rows than this are no decoding any more. */
const ROWS_MAX = 65_536;
/** Kinds of steps that one worker tells of at once. */
const STEPS_MAX = 16;
/** Families that one machine remembers. */
export const SPEEDS_MAX = 16;

/** One kind of step that a worker computed several times, and the median of how long it took. */
export const StepTime = t.Object({
  /** A chunk of one prompt, or the next token of each of `rows` answers. */
  kind: t.Union([t.Literal("prompt"), t.Literal("decode")]),
  rows: t.Integer({ minimum: 1, maximum: ROWS_MAX }),
  /** Tokens that each sequence held before, on average. */
  depth: t.Integer({ minimum: 0 }),
  /** How far it went: through the layers alone, through the head too, or until the next token was chosen and told. */
  until: t.Union([t.Literal("layers"), t.Literal("head"), t.Literal("token")]),
  ms: t.Number({ minimum: 0 }),
});
export type StepTime = Static<typeof StepTime>;

/** What a worker measured of the layers it holds. */
export const Pace = t.Object({ layers: LayerRange, steps: t.Array(StepTime, { maxItems: STEPS_MAX }) });
export type Pace = Static<typeof Pace>;

const rate = t.Number({ exclusiveMinimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const ms = t.Number({ minimum: 0, maximum: 1e6 });

/** Models of one architecture and quantisation on one machine, whatever their size. */
export const MeasuredSpeeds = t.Object({
  architecture: t.String({ maxLength: 64 }),
  quantisation: t.String({ maxLength: 256 }),
  /** Of one layer, on average, of the model that was measured: others are judged by the nearest. */
  layerBytes: t.Number({ minimum: 0 }),
  /** Weights and caches read while decoding. */
  bytesPerSecond: rate,
  /** Multiplications and additions per second of a long prompt. */
  flopsPerSecond: rate,
  layerMs: ms,
  stepMs: ms,
  /** What a step of 2, 4 and 8 answers takes, each as a multiple of one of a single answer; fewer where not measured. */
  together: t.Array(t.Number({ minimum: 0, maximum: 64 }), { maxItems: 3 }),
});
export type MeasuredSpeeds = Static<typeof MeasuredSpeeds>;

/** What one machine answered when it was asked how fast it is with a model: the one or the other. */
export const SpeedAnswer = t.Object({
  node: NodeId,
  name: t.String(),
  speeds: t.Optional(MeasuredSpeeds),
  problem: t.Optional(ProblemBody),
});
export type SpeedAnswer = Static<typeof SpeedAnswer>;
