/** What a worker is given to hold, and what it says of it once held. */
import { type Static, Type as t } from "@sinclair/typebox";
import { GroupWay } from "./collective.ts";
import { Address } from "./ids.ts";
import { HiddenForm } from "./pass.ts";

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

/** More machines than this would pass a token on for longer than they compute. */
const STAGES_MAX = 64;

/** The workers that compute one model together, each its layers or its part of them, and which of them the one is that is told. */
export const Group = t.Object({
  instance: t.String({ minLength: 1, maxLength: 256 }),
  /** Rises with each placement of the instance; whatever comes from an older one is refused. */
  epoch: t.Integer({ minimum: 0 }),
  /** In the order of their layers: the first embeds, the last samples and drives. */
  stages: t.Array(Address, { minItems: 1, maxItems: STAGES_MAX }),
  stage: t.Integer({ minimum: 0, maximum: STAGES_MAX - 1 }),
  /**
   * Of each stage, how many of `stages` share its layers, each its rank's part of every one: they follow each other in the order of
   * their ranks, and `stage` counts them all. Absent: one each.
   */
  ranks: t.Optional(
    t.Array(t.Integer({ minimum: 1, maximum: STAGES_MAX }), { minItems: 1, maxItems: STAGES_MAX }),
  ),
  /** Of the ranks of this one's stage: by what they add up, where that is not exo's own links. */
  way: t.Optional(GroupWay),
  /** Of stages: how each sends hidden state to the next; absent: as it computes it. */
  hidden: t.Optional(HiddenForm),
});
export type Group = Static<typeof Group>;

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
