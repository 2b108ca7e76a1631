/** What who leads, or the way to it, says no with, as those who asked are to hear it. */
import type { PlacedInstance } from "#protocol/placement";
import { Problem, type ProblemBody } from "#protocol/problem";
import type { Agreed } from "../cluster/agreed.ts";
import { notLeading } from "../cluster/replica.ts";

/** Nothing where there is another way; throws what is no Problem. */
export function ifProblem(error: unknown): undefined {
  if (!(error instanceof Problem)) throw error;
}

/** Nothing where what does not fit in the home would fit otherwise; throws any other error. */
export const ifFull =
  (otherwise: () => boolean) =>
  (error: unknown): undefined => {
    if (!(error instanceof Problem) || error.kind !== "doesNotFit" || !otherwise()) throw error;
  };

/** What becomes of work that only who leads may do. A failure is the next leader's to tell, where there is one before it: who asked asks that one. */
export async function asLeader<T>(agreed: () => Agreed, work: () => Promise<T>): Promise<T> {
  const { leads, term } = agreed();
  if (!leads) throw notLeading();
  return await work().catch((error: unknown) => {
    const now = agreed();
    throw error instanceof Problem && !(now.leads && now.term === term) ? notLeading() : error;
  });
}

/** It leads no more, as a rule. */
export function unreached(error: unknown): Problem {
  if (error instanceof Problem && error.kind === "unavailable") return error;
  throw error;
}

export const stillThere = (model: string): Problem =>
  new Problem("unavailable", `${model} was to be stopped, and the home has not agreed to it`, {
    remedy: `exo ps shows how it is; if it stays: exo stop ${model}`,
  });

/** Who has not all of a model's machines, and nobody to ask for others. */
export const orphaned = (model: string, why: string): Problem =>
  new Problem("unavailable", `${why}, and too few that vote are up to place ${model} anew`, {
    remedy: "start the others; exo nodes shows which vote",
  });

/** Of a record without a reason. */
export const FAILED: ProblemBody = { kind: "internal", message: "the model failed, and nobody said why" };

/** Why it cannot be placed again, after what broke it. */
export function because(broken: ProblemBody, error: unknown): unknown {
  if (!(error instanceof Problem)) return error;
  const { kind, message, param, remedy } = error;
  return new Problem(kind, `${broken.message}; ${message}`, {
    ...(param !== undefined && { param }),
    ...(remedy !== undefined && { remedy }),
    cause: error,
  });
}

/** Said to whoever asks for a model that failed, and names no place. */
export const asBeforeWords = ({ model }: PlacedInstance): string =>
  `${model} goes where it was asked for before, and failed: exo stop ${model} forgets that`;

/** Why it cannot be placed there again. */
export function notAsBefore({ model, problem }: PlacedInstance, error: unknown): unknown {
  if (!(error instanceof Problem)) return error;
  const { kind, message } = error;
  const why = problem ? ` (${problem.message})` : "";
  return new Problem(kind, `${model} failed${why}, and where it was asked for it cannot be now: ${message}`, {
    remedy: `exo run ${model} --nodes A,B says where else; exo stop ${model} forgets where it was to be`,
    cause: error,
  });
}
