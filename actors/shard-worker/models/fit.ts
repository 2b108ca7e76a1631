import type { Mlx } from "#ffi/array";
import { MlxError } from "#ffi/call";
import { Problem } from "#protocol/problem";
import type { Model } from "./model.ts";

/**
 * Throws Problem where the tensors of a model, or of some layers of it, do not fit together or not its config, rather than at the
 * first request. One step is only described, not computed: MLX knows all shapes by then and has read no weight.
 */
export function checkFit(model: Model, mlx: Mlx): void {
  const { range, hiddenSize, dtype } = model;
  const size = mlx.scope(() => {
    const input = range.start === 0 ? mlx.zeros([1, 1], "int32") : mlx.zeros([1, 1, hiddenSize], dtype);
    try {
      return model.forward(input, model.caches(), "last").shape.at(-1);
    } catch (cause) {
      throw cause instanceof MlxError ? misfit(cause.message, cause) : cause;
    }
  });
  if (range.end < model.layers) {
    if (size !== hiddenSize)
      throw misfit(`hidden_size is ${hiddenSize}, layer ${range.end - 1} gives ${size} values`);
  } else if (size !== model.vocabularySize)
    throw misfit(`vocab_size is ${model.vocabularySize}, the output head has ${size} rows`);
}

/** What is wrong, as a Problem: either of the two may be damaged, or they belong to different models. */
export const misfit = (what: string, cause?: unknown): Problem =>
  new Problem("invalid", `the weights do not fit config.json: ${what}`, {
    remedy: "fetch the model again, or correct its config.json",
    ...(cause !== undefined && { cause }),
  });
