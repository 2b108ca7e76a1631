/** The Llama line: what its members share, so that each of their files says only its difference. */
import type { Weights } from "#ffi/weights";
import type { LayerRange } from "#protocol/shard";
import { type AttentionOptions, attention } from "./attention.ts";
import { type DecoderConfig, headDimsOf, kvHeadsOf, windowByType } from "./config.ts";
import type { Model } from "./model.ts";
import { contextLengthOf, createRope } from "./rope.ts";
import { type FeedForward, mlp, residualBlock, transformer } from "./transformer.ts";

export interface Difference {
  /** Biases that the attention must have. */
  readonly biases?: AttentionOptions["biases"];
  /** Queries and keys are normalised per head. */
  readonly qkNorm?: boolean;
  /** The base of the rotation where the config names none. */
  readonly ropeTheta?: number;
  /** Absent: a window only where `layer_types` names it. */
  readonly window?: (layer: number) => number | undefined;
  /** What follows attention in a layer, from the layer's weights. Absent: SwiGLU without biases. */
  readonly feedForward?: (w: Weights, layer: number) => FeedForward;
}

/** A decoder of the Llama line. Without `tie_word_embeddings` the checkpoint decides: a head of its own is used. */
export function decoder(
  config: DecoderConfig,
  weights: Weights,
  { range, ...difference }: Difference & { readonly range: LayerRange | undefined },
): Model {
  const { rms_norm_eps: normEps } = config;
  const headDims = headDimsOf(config);
  const rope = createRope(config, headDims, weights.mlx, difference.ropeTheta);
  const feedForward = difference.feedForward ?? ((w: Weights) => mlp(w.at("mlp")));
  const options: AttentionOptions = {
    heads: config.num_attention_heads,
    kvHeads: kvHeadsOf(config),
    headDims,
    rope,
    ...(difference.biases && { biases: difference.biases }),
    ...(difference.qkNorm && { qkNorm: normEps }),
  };
  return transformer(
    {
      layers: config.num_hidden_layers,
      vocabularySize: config.vocab_size,
      hiddenSize: config.hidden_size,
      contextLength: contextLengthOf(config),
      normEps,
      tied: config.tie_word_embeddings ?? !weights.has("lm_head.weight"),
      window: difference.window ?? ((layer) => windowByType(config, layer)),
      block: (w, layer) =>
        residualBlock(w, {
          normEps,
          attention: (within, norm) => attention(within, norm, options),
          feedForward: (within) => feedForward(within, layer),
        }),
    },
    weights,
    range,
  );
}
