/** Which idle models would have to be stopped so that another fits, and how that is told. Pure. */
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";

/** A model in the memory of the home's machines. */
export interface Other {
  readonly model: string;
  /** What it has of machines' memory. */
  readonly bytes: ReadonlyMap<NodeId, number>;
  /** When it was asked last, where all of its machines say that this is long ago; undefined while one does not. */
  readonly idleSinceMs: number | undefined;
  /** The machine that holds it by itself; absent: the home placed it. */
  readonly alone?: { readonly node: NodeId; readonly name: string };
}

/** It would fit if these idle models were stopped. */
export class NeedsIdle extends Problem {
  readonly models: readonly Other[];

  constructor({ kind, message, remedy }: Problem, models: readonly Other[]) {
    super(kind, message, remedy === undefined ? {} : { remedy });
    this.models = models;
  }
}

/** `sea`, or `sea on bob` for one that bob holds by itself. */
export const nameOf = ({ model, alone }: Other): string => (alone ? `${model} on ${alone.name}` : model);

/** What does not fit beside idle models asks for their room; where they are used, only a user knows which is wanted more. */
export function withRoom(
  error: Problem,
  others: readonly Other[],
  fits: (stopped: readonly Other[]) => unknown,
) {
  const isEnough = (stopped: readonly Other[]) => {
    try {
      return stopped.length > 0 && fits(stopped) !== undefined;
    } catch {
      // Not enough either.
      return false;
    }
  };
  const idle = others
    .filter(({ idleSinceMs }) => idleSinceMs !== undefined)
    .toSorted((a, b) => (a.idleSinceMs ?? 0) - (b.idleSinceMs ?? 0));
  const firstOnes = idle.map((_, at) => idle.slice(0, at + 1));
  const enough = [...idle.map((each) => [each]), ...firstOnes].find(isEnough);
  if (enough) return new NeedsIdle(error, needed(enough, isEnough));
  const used = others.find((other) => isEnough([other]));
  if (!used) return error;
  const where = used.alone ? ` on ${used.alone.name}` : "";
  return new Problem(error.kind, error.message, {
    remedy: `it fits once ${used.model} is stopped${where}: exo stop ${used.model}`,
  });
}

/** Without those whose machines take no part anyway; who was asked last stays first. */
function needed(
  models: readonly Other[],
  isEnough: (stopped: readonly Other[]) => boolean,
): readonly Other[] {
  let left = models;
  for (const each of models.toReversed()) {
    const others = left.filter((other) => other !== each);
    if (isEnough(others)) left = others;
  }
  return left;
}

/** Who asked for a model that is not there after all hears what is there no more. */
export function afterStopping(stopped: readonly Other[], error: unknown): unknown {
  if (!(error instanceof Problem) || stopped.length === 0) return error;
  const { kind, message, param, remedy } = error;
  const about = {
    ...(param !== undefined && { param }),
    ...(remedy !== undefined && { remedy }),
    cause: error,
  };
  return new Problem(kind, `${message}; ${stopped.map(nameOf).join(", ")} had been stopped for it`, about);
}
