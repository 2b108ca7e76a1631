import { type Static, Type as t } from "@sinclair/typebox";
import type { Weights } from "#ffi/weights";
import { decoderFields, readConfig } from "./config.ts";
import { decoder } from "./decoder.ts";
import { largest, mixture, type Router } from "./experts.ts";
import type { Builder } from "./model.ts";

const MixtralConfig = t.Object({
  ...decoderFields,
  num_local_experts: t.Optional(t.Integer({ minimum: 1 })),
  num_experts_per_tok: t.Optional(t.Integer({ minimum: 1 })),
});

/** Mixtral (https://arxiv.org/abs/2401.04088): Mistral whose feed-forward is the best two of eight experts. */
export const mixtral: Builder = (given, weights, range) => {
  const config = readConfig(MixtralConfig, given);
  return decoder(config, weights, {
    range,
    ropeTheta: 1e6,
    window: () => config.sliding_window,
    feedForward: (w) => {
      const experts = w.at("block_sparse_moe");
      return mixture(experts, router(experts, config));
    },
  });
};

/** The best k of the logits, weighed by a softmax over those k alone. */
function router(w: Weights, { num_experts_per_tok: k = 2 }: Static<typeof MixtralConfig>): Router {
  const gate = w.linear("gate");
  return (x) => {
    const logits = gate(x).astype("float32");
    const experts = largest(logits, k);
    return { experts, weights: logits.takeAlongAxis(experts, -1).softmax(-1) };
  };
}
