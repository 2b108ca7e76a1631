/** Where a model goes that the home had placed already, and that is broken. */
import type { NodeId } from "#protocol/ids";
import type { PlacedInstance } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import type { Choice } from "./choose.ts";
import type { IdleRoom, ToPlace } from "./idle-room.ts";
import type { PlacedPorts } from "./placed.ts";
import { heldOf, isTaken, type Sights } from "./trouble.ts";

export interface Anew extends Pick<PlacedPorts, "self" | "bars" | "claims" | "lost" | "agreed"> {
  readonly room: IdleRoom;
  readonly sights: () => Pick<Sights, "nowMs" | "reportOf">;
  /** Machines where its workers end again and again, or do not meet, with the reason of each. */
  readonly shaky: ReadonlyMap<NodeId, string>;
  /** Its ranks could not add up but by exo's own links. */
  readonly isMeshLeft: boolean;
}

/** Throws Problem. */
export async function placedAnew(before: PlacedInstance, ports: Anew): Promise<Choice> {
  const { room, shaky } = ports;
  const wanted = wantedOf(before, ports);
  const decided = (asked: ToPlace) => room.decided(before.id, asked);
  if (shaky.size === 0) return await decided(wanted);
  const barred = new Map([...shaky, ...wanted.barred]);
  try {
    return await decided({ ...wanted, barred, isEnding: false });
  } catch (error) {
    if (!(error instanceof Problem) || error.kind !== "doesNotFit") throw error;
    // It fits nowhere else, and the fault may be of what its workers are asked.
    return await decided(wanted);
  }
}

function wantedOf(
  before: PlacedInstance,
  { isMeshLeft, self: asker, bars, claims, lost, agreed, sights }: Anew,
): ToPlace {
  const barred = bars.now;
  const { id, model, settings, stages } = before;
  const wish = isMeshLeft ? { ...before.wish, backend: "ring" as const } : before.wish;
  const held = stages.filter((stage) => isTaken(heldOf(before, stage, sights())));
  return {
    ...{ model, wish, settings, asker, again: before.wasReady === true, held },
    barred,
    current: stages,
    claimed: () => claims.beside(id, agreed().instances, sights()),
    claim: (bytes) => claims.make(id, bytes),
    isEnding: stages.some((stage) => !held.includes(stage) && !lost(stage.node) && !barred.has(stage.node)),
  };
}
