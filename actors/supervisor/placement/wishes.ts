/** What was asked for before, and what is asked for now. */
import type { PlacementWish } from "#protocol/placement";

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
