/** What was asked for before, and what is asked for now. */
import type { NodeId } from "#protocol/ids";
import {
  type PlacedInstance,
  PlacementReply,
  type PlacementSettings,
  type PlacementWish,
} from "#protocol/placement";
import { Problem } from "#protocol/problem";

export const isNone = (wish: PlacementWish): boolean => Object.keys(wish).length === 0;

/** By itself, how a model is computed says nothing of where. */
export function saysWhere(wish: PlacementWish): boolean {
  const { hidden: _, backend: __, ...where } = wish;
  return !isNone(where);
}

/** How it is computed is said apart from where: who says only one of them leaves the other as it was. */
export function inherited(asked: PlacementWish, { hidden, ...where }: PlacementWish): PlacementWish {
  return { ...(hidden && { hidden }), ...(!saysWhere(asked) && where), ...asked };
}

/** Whoever asks for nothing else than there is has it. */
export const isMet = (asked: PlacementWish, had: PlacementWish): boolean =>
  Bun.deepEquals(inherited(asked, had), had);

/** Whether that machine may hold by itself what stands elsewhere, as it was placed there only because that is faster for others. */
export const isOptional = ({ faster, wish, state, stages }: PlacedInstance, node: NodeId): boolean =>
  faster === true && isNone(wish) && state !== "failed" && stages.every((stage) => stage.node !== node);

/** Whether it does for such settings: with as much context, and nobody stopped it. */
export const isFor = ({ state, settings }: PlacedInstance, wanted: PlacementSettings): boolean =>
  (state === "loading" || state === "ready") &&
  (settings.contextLength ?? Number.POSITIVE_INFINITY) >= (wanted.contextLength ?? Number.POSITIVE_INFINITY);

/** What who asks for a model is told that is placed already. Throws Problem where that is not as it was asked for. */
export function standing(
  { id, epoch, model, wish: had, stages, faster }: PlacedInstance,
  wish: PlacementWish,
) {
  if (isMet(wish, had)) return PlacementReply.Placed({ id, epoch, notes: [] });
  const why = faster && isNone(had) ? "it is faster there" : "it was asked for before";
  throw new Problem(
    "invalid",
    `${model} is on ${stages.length} machine${stages.length === 1 ? "" : "s"} already, as ${why}`,
    { remedy: `exo rebalance ${model} with what you ask for now moves it, exo stop ${model} ends it` },
  );
}
