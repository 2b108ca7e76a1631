import type { Mlx } from "#ffi/array";
import { MlxError } from "#ffi/call";
import { Problem } from "#protocol/problem";
import type { Model } from "./model.ts";

/**
 * Throws Problem where the tensors of a whole model do not fit together or not its config, rather than at the first
 * request. One step is only described, not computed: MLX knows all shapes by then and has read no weight.
 */
export function checkFit(model: Model, mlx: Mlx): void {
  const size = mlx.scope(() => {
    try {
      const logits = model.forward(mlx.zeros([1, 1], "int32"), model.caches(), "last");
      return logits.shape.at(-1);
    } catch (cause) {
      throw cause instanceof MlxError ? misfit(cause.message, cause) : cause;
    }
  });
  if (size !== model.vocabularySize)
    throw misfit(`vocab_size is ${model.vocabularySize}, the output head has ${size} rows`);
}

/** What is wrong, as a Problem: either of the two may be damaged, or they belong to different models. */
export const misfit = (what: string, cause?: unknown): Problem =>
  new Problem("invalid", `the weights do not fit config.json: ${what}`, {
    remedy: "fetch the model again, or correct its config.json",
    ...(cause !== undefined && { cause }),
  });
