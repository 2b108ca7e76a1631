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

/** What machines tell as free. */
export type Free = ReadonlyMap<NodeId, number>;

/** Models that were stopped, and what machines told as free before that. */
export interface Stopped {
  readonly models: readonly Other[];
  readonly before: Free;
}

/** It would fit if these idle models were stopped. */
export class NeedsIdle extends Problem {
  readonly models: readonly Other[];
  readonly free: Free;

  constructor({ kind, message, remedy }: Problem, models: readonly Other[], free: Free) {
    super(kind, message, remedy === undefined ? {} : { remedy });
    this.models = models;
    this.free = free;
  }
}

/**
 * What of the memory of stopped models is not told as free yet. It is: their workers have ended. A machine looks at its memory every five
 * seconds, and a change of little of it is told with the next refresh alone.
 */
export function untold({ models, before }: Stopped, now: Free): Free {
  const left = new Map<NodeId, number>();
  for (const [node, bytes] of models.flatMap((each) => [...each.bytes]))
    left.set(node, (left.get(node) ?? 0) + bytes);
  for (const [node, bytes] of left) {
    const told = Math.max(0, (now.get(node) ?? 0) - (before.get(node) ?? 0));
    left.set(node, Math.max(0, bytes - told));
  }
  return left;
}

/** `sea`, or `sea on bob` for one that bob holds by itself. */
export const nameOf = ({ model, alone }: Other): string => (alone ? `${model} on ${alone.name}` : model);

/** What does not fit beside idle models asks for their room; where they are used, only a user knows which is wanted more. */
export function withRoom(
  error: Problem,
  { others, free }: { readonly others: readonly Other[]; readonly free: Free },
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
  if (enough) return new NeedsIdle(error, needed(enough, isEnough), free);
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
