/** Which machines can share each layer as tensor ranks: equal shares, where everything that is cut divides. */
import type { Division, ModelShape } from "#protocol/model-shape";
import { collectiveMs } from "../cost.ts";
import type { Home } from "../home.ts";

/** What of a model does not divide into so many ranks; undefined where all does. */
export const indivisible = ({ divisions }: ModelShape, ranks: number): Division | undefined =>
  divisions.length === 0
    ? { what: "parts that ranks could share", size: 1, piece: 1 }
    : divisions.find(({ size, piece }) => size % (ranks * piece) !== 0);

/** Every group of two machines and more whose ranks divide and reach each other. */
export function everyGroup(model: ModelShape, home: Home): readonly (readonly number[])[] {
  const count = home.machines.length;
  const sizes = Array.from({ length: count + 1 }, (_, ranks) => ranks > 1 && !indivisible(model, ranks));
  const groups: number[][] = [];
  for (let bits = 1; bits < 1 << count; bits++) {
    const members = home.machines.flatMap((_, at) => ((bits >> at) & 1 ? [at] : []));
    if (sizes[members.length] && Number.isFinite(collectiveMs(home, members, 0))) groups.push(members);
  }
  return groups;
}

/** Of many machines, for each and each size only the group around it with the least latency: all would be too many. */
export function nearGroups(model: ModelShape, home: Home): readonly (readonly number[])[] {
  const found = new Map<string, readonly number[]>();
  for (const [at] of home.machines.entries()) {
    let group: readonly number[] = [at];
    while (group.length < Math.min(home.machines.length, RANKS_MAX)) {
      const others = home.machines.flatMap((_, other) => (group.includes(other) ? [] : [[...group, other]]));
      group =
        others.toSorted(
          (a, b) => collectiveMs(home, a, model.hidden) - collectiveMs(home, b, model.hidden),
        )[0] ?? [];
      const members = group.toSorted((a, b) => a - b);
      if (!indivisible(model, members.length) && Number.isFinite(collectiveMs(home, members, 0)))
        found.set(members.join(), members);
    }
  }
  return [...found.values()];
}
/** More ranks than any home's links carry. */
const RANKS_MAX = 8;
