/** Moves a model that is ready to where the home's machines would answer faster now. */
import type { NodeId } from "#protocol/ids";
import { type PlacedInstance, PlacementReply, type PlacementWish, type Stage } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import type { Claims } from "./claims.ts";
import type { IdleRoom } from "./idle-room.ts";
import type { CoordinatorPorts } from "./ports.ts";
import type { Wanted } from "./survey.ts";
import { inherited, saysWhere } from "./wishes.ts";

export interface ToRebalance extends Pick<Wanted, "asker" | "barred" | "claimed"> {
  readonly record: PlacedInstance;
  /** Absent: as it was wished for before, or with fewer machines if need be. */
  readonly wish: PlacementWish | undefined;
  readonly claims: Claims;
  /** Machines that cannot be counted on. */
  readonly lost: (node: NodeId) => boolean;
}

export interface RebalancePorts extends Pick<CoordinatorPorts, "agreed"> {
  readonly room: IdleRoom;
}

/** Who asks for a machine to be used wants it; by itself a model moves for no less, as answers pause meanwhile. */
const GAIN_MIN = 0.1;

/** Throws Problem. What is there goes on while it is decided, and where nothing is gained it stays. */
export async function rebalanced({ agreed, room }: RebalancePorts, asked: ToRebalance) {
  const { record, claims, lost, ...rest } = asked;
  const { id, epoch, model, settings, faster, stages: current } = record;
  if (record.state === "failed") throw failed(record);
  if (record.state !== "ready")
    throw new Problem("unavailable", `${model} is not ready yet: it is ${record.state}`, {
      remedy: "ask again once exo ps shows it ready",
    });
  const before = claims.of(id);
  let claimed: ReadonlyMap<NodeId, number> | undefined;
  const claim = (bytes: ReadonlyMap<NodeId, number>) => {
    claimed = bytes;
    claims.make(id, bytes);
  };
  const keep = () => {
    // Meanwhile it may have broken, and be placed anew.
    if (claims.of(id) !== claimed) return;
    if (before.size === 0) return claims.drop(id);
    claims.make(id, before);
    claims.agreed(id, epoch);
  };
  const wish = inherited(asked.wish ?? {}, record.wish);
  const isCounted = current.every(({ node }) => !lost(node) && !rest.barred.has(node));
  const isThere = asked.wish !== undefined && !saysWhere(asked.wish) && isCounted;
  const how = { again: false, isFewerFine: asked.wish === undefined };
  const wanted = { ...rest, ...how, model, settings, held: current, current, claim };
  const { stages, digest, notes, speeds } = await room.decided(id, {
    ...wanted,
    wish: isThere ? { ...wish, ...onAllOf(current) } : wish,
  });
  const now = speeds.chosen;
  const was = speeds.current === undefined ? {} : { before: speeds.current };
  const moved = !areSame(stages, current);
  // Without a speed to compare with, one of its machines is lost, or could just not be asked: then it goes on where it is.
  const mustMove = asked.wish !== undefined || !isCounted;
  const isGain = moved && (speeds.current === undefined ? mustMove : now > (1 + GAIN_MIN) * speeds.current);
  // What is wished for stands in the log from now on, also where the same places come of it: workers of the same layers stay.
  const isOther = !Bun.deepEquals(wish, record.wish);
  if (!isGain && !isOther) {
    keep();
    return PlacementReply.Rebalanced({
      id,
      epoch,
      moved: false,
      ...was,
      now: speeds.current ?? now,
      notes: [...notes],
    });
  }
  const same = { id, model, settings, ...(faster && { faster }) };
  const place = { type: "instance", does: "place", ...same, wish, digest, after: epoch } as const;
  try {
    const { index } = await agreed().propose({ ...place, stages: [...stages] });
    claims.agreed(id, index);
    return PlacementReply.Rebalanced({ id, epoch: index, moved, ...was, now, notes: [...notes] });
  } catch (error) {
    keep();
    throw error;
  }
}

function onAllOf(stages: readonly Stage[]): Pick<PlacementWish, "nodes" | "minimumNodes"> {
  const nodes = [...new Set(stages.map(({ node }) => node))];
  return { nodes, minimumNodes: nodes.length };
}

const failed = ({ model, problem }: PlacedInstance): Problem =>
  new Problem("unavailable", `${model} failed${problem ? `: ${problem.message}` : ""}`, {
    remedy: `exo run ${model} tries it there again, with --nodes elsewhere; exo stop ${model} forgets it`,
  });

const areSame = (some: readonly Stage[], others: readonly Stage[]): boolean =>
  some.length === others.length &&
  some.every(({ node, layers, rank, way, hidden }, at) => {
    const other = others[at];
    const isPlace = node === other?.node && rank === other.rank && Bun.deepEquals(layers, other.layers);
    return isPlace && Bun.deepEquals(way, other.way) && hidden === other.hidden;
  });
