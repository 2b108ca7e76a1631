/** What a worker is given to hold, and what it says of it once held. */
import { type Static, Type as t } from "@sinclair/typebox";

/** A range of transformer layers: `start` inclusive, `end` exclusive. */
export const LayerRange = t.Object({ start: t.Integer({ minimum: 0 }), end: t.Integer({ minimum: 1 }) });
export type LayerRange = Static<typeof LayerRange>;

/** How keys and values are kept: as floats of a type, or in 8 bits with a scale for each 32 values (q8: on a CPU only). */
export const KvQuant = t.Union([t.Literal("f32"), t.Literal("f16"), t.Literal("bf16"), t.Literal("q8")]);
export type KvQuant = Static<typeof KvQuant>;

/** One slice of one model on one device. */
export const Shard = t.Object({
  /** The name by which clients ask for it. */
  model: t.String({ minLength: 1 }),
  /** A Hugging Face folder or a `.gguf` file on this machine. */
  path: t.String({ minLength: 1 }),
  /** Absent: all layers. */
  layers: t.Optional(LayerRange),
  /** Tensor parallel: this worker's rank of `world`. Absent: 0 of 1. */
  rank: t.Optional(t.Integer({ minimum: 0 })),
  world: t.Optional(t.Integer({ minimum: 1 })),
  /** Tokens of context to allow; absent: the model's own maximum. */
  contextLength: t.Optional(t.Integer({ minimum: 1 })),
  /** Absent: what the device is best at. */
  kvQuant: t.Optional(KvQuant),
});
export type Shard = Static<typeof Shard>;

/** Facts of a loaded shard, for `exo ps`, `exo show` and /v1/models. */
export const ShardFacts = t.Object({
  architecture: t.String(),
  /** As `exo show` prints it: `4-bit affine, group 32`, `Q4_K decoded to 8-bit`, `bfloat16`. */
  quantisation: t.String(),
  layers: t.Integer(),
  contextLength: t.Integer(),
  vocabularySize: t.Integer(),
  weightBytes: t.Integer(),
  loadMs: t.Number(),
});
export type ShardFacts = Static<typeof ShardFacts>;
