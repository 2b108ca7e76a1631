/** The same machines in the same order, cut so that all are about equally busy: steps in flight then wait for none of them. */
import type { ModelShape } from "#protocol/model-shape";
import type { Home, Wish } from "../home.ts";
import type { Placement, Stage } from "./placement.ts";
import { unitOf } from "./units.ts";
import { at } from "./window.ts";

/**
 * Layers move over one cut at a time, as long as the sum of the squares of the stages' times falls and all still fits. In the search
 * such placements are often equal: a step of several answers reads the weights once, so that several steps in flight gain nothing
 * by its reckoning, and prompts, which do gain, are not what it compares.
 */
export function balanced(model: ModelShape, home: Home, wish: Wish, placement: Placement): Placement {
  const step = { tokens: 1, isPrompt: false };
  const units = placement.map(({ machines }) => unitOf(model, home, wish, { machines, step }));
  const of = (sums: Float64Array | undefined, { start, end }: Stage) => at(sums, end) - at(sums, start);
  const unrest = (stages: Placement): number =>
    stages.reduce((sum, stage, unit) => sum + of(units[unit]?.times, stage) ** 2, 0);
  const fits = (stages: Placement): boolean =>
    stages.every((stage, unit) => of(units[unit]?.bytes, stage) <= (units[unit]?.room ?? 0));
  let best = placement;
  for (let isBetter = true; isBetter; ) {
    isBetter = false;
    for (const next of neighbours(best)) {
      if (unrest(next) >= unrest(best) || !fits(next)) continue;
      best = next;
      isBetter = true;
    }
  }
  return best;
}

/** With one layer moved over one cut; each stage keeps one. */
function neighbours(placement: Placement): readonly Placement[] {
  return placement.slice(1).flatMap((_, cut) =>
    [-1, 1].flatMap((by) => {
      const moved = placement.map((stage, at) => ({
        ...stage,
        start: at === cut + 1 ? stage.start + by : stage.start,
        end: at === cut ? stage.end + by : stage.end,
      }));
      return moved.every(({ start, end }) => end > start) ? [moved] : [];
    }),
  );
}
