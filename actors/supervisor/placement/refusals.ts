/** What who leads, or the way to it, says no with, as those who asked are to hear it. */
import { Problem } from "#protocol/problem";

/** Nothing where what does not fit in the home would fit otherwise; throws any other error. */
export const ifFull =
  (otherwise: () => boolean) =>
  (error: unknown): undefined => {
    if (!(error instanceof Problem) || error.kind !== "doesNotFit" || !otherwise()) throw error;
  };

/** It leads no more, as a rule. */
export function unreached(error: unknown): Problem {
  if (error instanceof Problem && error.kind === "unavailable") return error;
  throw error;
}

export const stillThere = (model: string): Problem =>
  new Problem("unavailable", `${model} was to be stopped, and the home has not agreed to it`, {
    remedy: `exo ps shows how it is; if it stays: exo stop ${model}`,
  });
