/** What planning has to know of a model: sizes of its real tensors, layer by layer, and where ranks may cut them. */
import { type Static, Type as t } from "@sinclair/typebox";

const bytes = t.Integer({ minimum: 0 });
const count = t.Integer({ minimum: 1 });

/** One transformer layer. Bytes are as held in memory, all ranks together. */
export const LayerShape = t.Object({
  /** All its weights. */
  bytes,
  /** Of these, what every rank of a tensor group holds whole: norms, routers. */
  wholeBytes: bytes,
  /** Of these, key and value projections: of their heads each rank holds those that its query heads read, also where another does. */
  kvBytes: t.Optional(bytes),
  /** Of these, all experts together, where a token goes through some of them only. */
  expertBytes: t.Optional(bytes),
  /** Multiplications and additions that one token costs, attention over the context not counted. */
  flops: t.Number({ minimum: 0 }),
  /** Tokens that attention reaches back, itself included; absent: all. */
  window: t.Optional(count),
});
export type LayerShape = Static<typeof LayerShape>;

/** `size` of something that ranks share equally, in pieces of `piece` that may not be torn: heads, columns in groups of a scale. */
export const Division = t.Object({ what: t.String({ maxLength: 64 }), size: count, piece: count });
export type Division = Static<typeof Division>;

export const ModelShape = t.Object({
  architecture: t.String({ maxLength: 64 }),
  layers: t.Array(LayerShape, { minItems: 1, maxItems: 1024 }),
  /** Held by who has the first layer. */
  embeddingBytes: bytes,
  /** Norm and output head, held by who has the last layer; of a tied model the embedding is among them. */
  headBytes: bytes,
  /** The embedding is the output head too: who has both ends holds it once. */
  tied: t.Boolean(),
  hidden: count,
  feedForward: count,
  heads: count,
  kvHeads: count,
  headDims: count,
  vocabulary: count,
  /** Of each layer that has them; `used` of `count` for each token. */
  experts: t.Optional(t.Object({ count, used: count })),
  /** The model's own longest context in tokens, where it says. */
  contextLength: t.Optional(count),
  /** What a tensor group has to divide; empty where this model cannot be cut so. */
  divisions: t.Array(Division, { maxItems: 64 }),
});
export type ModelShape = Static<typeof ModelShape>;

/**
 * Key-value heads that each of `ranks` holds, which divide `heads`: one for each block of its query heads that read the same. As many as
 * its share where the ranks divide them too; else ranks hold some of them twice.
 */
export function keptByRank(heads: number, kvHeads: number, ranks: number): number {
  if (kvHeads % ranks === 0) return kvHeads / ranks;
  const own = heads / ranks;
  return own / commonDivisor(own, heads / kvHeads);
}

const commonDivisor = (a: number, b: number): number => (b < 1 ? a : commonDivisor(b, a % b));
