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

/** Each choice is a plan of its own, of which some take half a second: beyond so many models the first ones together have to do. */
const SINGLES_MAX = 16;

export interface Room {
  readonly others: readonly Other[];
  readonly free: Free;
  /** Whether it fits once these are stopped; throws or answers. */
  readonly fits: (stopped: readonly Other[]) => Promise<unknown>;
  /** Between two plans: whoever leads has others to hear. */
  readonly breath: () => Promise<void>;
}

/** What does not fit beside idle models asks for their room; where they are used, only a user knows which is wanted more. */
export async function withRoom(error: Problem, { others, free, fits, breath }: Room): Promise<Problem> {
  const isEnough = async (stopped: readonly Other[]) => {
    await breath();
    try {
      return stopped.length > 0 && (await fits(stopped)) !== undefined;
    } catch {
      // Not enough either.
      return false;
    }
  };
  const idle = others
    .filter(({ idleSinceMs }) => idleSinceMs !== undefined)
    .toSorted((a, b) => (a.idleSinceMs ?? 0) - (b.idleSinceMs ?? 0));
  const oneOf = async (all: readonly Other[]) => {
    for (const each of all.slice(0, SINGLES_MAX)) if (await isEnough([each])) return each;
    return undefined;
  };
  if (await isEnough(idle)) {
    const one = await oneOf(idle);
    return new NeedsIdle(error, one ? [one] : await fewest(idle, isEnough), free);
  }
  const used = await oneOf(others.filter(({ idleSinceMs }) => idleSinceMs === undefined));
  if (!used) return error;
  const where = used.alone ? ` on ${used.alone.name}` : "";
  return new Problem(error.kind, error.message, {
    remedy: `it fits once ${used.model} is stopped${where}: exo stop ${used.model}`,
  });
}

type IsEnough = (stopped: readonly Other[]) => Promise<boolean>;

/** Of models that are enough together: as few of the first as are, without those whose machines take no part anyway. */
async function fewest(models: readonly Other[], isEnough: IsEnough): Promise<readonly Other[]> {
  let [few, many] = [1, models.length];
  while (few < many) {
    const middle = Math.floor((few + many) / 2);
    if (await isEnough(models.slice(0, middle))) many = middle;
    else few = middle + 1;
  }
  let left = models.slice(0, many);
  for (const each of left.toReversed()) {
    const others = left.filter((other) => other !== each);
    if (await isEnough(others)) left = others;
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
