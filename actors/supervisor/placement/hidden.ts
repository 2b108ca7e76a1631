/** How hidden state goes between the stages of a placement: as is wished for, by machines that know how. Pure. */
import type { Known } from "#actors/planner/home-of";
import type { NodeId } from "#protocol/ids";
import type { HiddenForm } from "#protocol/pass";
import type { PlacedInstance, PlacementWish, Stage } from "#protocol/placement";

/** What is wished for, or what the machine that was asked first says where nobody wishes. */
export function hiddenWish({ wish, settings }: Pick<PlacedInstance, "wish" | "settings">) {
  const hidden = wish.hidden ?? settings.hidden;
  return hidden === undefined ? {} : { hidden };
}

/** In the order in which they are tried: where answers wait, or nobody wishes for it anew, stages that send all of it are better than none. */
export const sendings = (wish: PlacementWish, isFullFine: boolean): readonly PlacementWish[] =>
  isFullFine && wish.hidden === "8bit" ? [wish, { ...wish, hidden: "full" }] : [wish];

/** Why a machine can be no stage of it; undefined for one that can. */
export function withoutHidden(node: NodeId, { hidden }: PlacementWish, { nodes }: Known): string | undefined {
  if (hidden !== "8bit") return undefined;
  const known = nodes.find((view) => view.node === node)?.facts?.hidden ?? [];
  return known.includes(hidden)
    ? undefined
    : "has an exo that is too old for hidden states in 8 bits (--hidden 8bit)";
}

/** The stages with what each is to send; one alone sends nothing, and no more do ranks of all layers. */
export function withHidden(
  stages: readonly Stage[],
  { hidden }: Pick<PlacementWish, "hidden">,
): readonly Stage[] {
  const bare = stages.map(({ hidden: _, ...stage }) => stage);
  const isRow = new Set(bare.map(({ layers }) => layers.start)).size > 1;
  return hidden === "8bit" && isRow ? bare.map((stage) => ({ ...stage, hidden })) : bare;
}

/** What all stages are told alike, or nothing of it is done. */
export const hiddenOf = ({ stages }: Pick<PlacedInstance, "stages">): HiddenForm | undefined =>
  stages.every(({ hidden }) => hidden === "8bit") ? "8bit" : undefined;
