/** By what the ranks of a placement add up: what is wished for, settled by what the machines are. Pure. */

import { type Member, pickBackend, requireBackend, strategyFor } from "#actors/planner/backends";
import { homeOf, type Known } from "#actors/planner/home-of";
import type { NodeId } from "#protocol/ids";
import type { PlacementWish, Stage } from "#protocol/placement";
import { Problem } from "#protocol/problem";

interface Wishing {
  readonly wish: PlacementWish;
  readonly known: Known;
  /** Answers wait for the model: ranks that add up in another way than was wished for are better than none. */
  readonly again: boolean;
}

/** The wish with the strategy that its backend asks for; throws Problem where these machines cannot have that backend. */
export function wishOfRanks({ wish, known, again }: Wishing): PlacementWish {
  const { nodes, minimumNodes = nodes?.length ?? 1 } = wish;
  const strategy = strategyFor(wish.strategy, wish.backend);
  const settled = { ...wish, ...(strategy && { strategy }) };
  const { home } = homeOf(known, { ...(nodes && { only: nodes }) });
  const members = membersOf(home.machines, known);
  try {
    requireBackend(wish.backend, members, { all: nodes !== undefined && minimumNodes >= nodes.length });
    return settled;
  } catch (error) {
    if (!again || !(error instanceof Problem)) throw error;
    const { backend: _, ...others } = settled;
    return others;
  }
}

/** The stages with what each rank is to add up by, and what there is to say of it. */
export function withWays(
  stages: readonly Stage[],
  { wish, known }: Pick<Wishing, "wish" | "known">,
): { readonly stages: readonly Stage[]; readonly said: readonly string[] } {
  const bare = stages.map(({ way: _, ...stage }) => stage);
  if (bare.length < 2 || bare.some(({ rank }) => rank === undefined)) return { stages: bare, said: [] };
  const { ways, notes } = pickBackend(wish.backend, membersOf(bare, known));
  return {
    stages: bare.map((stage, rank) => {
      const way = ways?.[rank];
      return way ? { ...stage, way } : stage;
    }),
    said: notes,
  };
}

/** Machines whose facts are known, in that order. */
export const membersOf = (of: readonly { readonly node: NodeId }[], { nodes }: Known): readonly Member[] =>
  of.flatMap(({ node }) => {
    const { name, facts } = nodes.find((each) => each.node === node) ?? {};
    return name !== undefined && facts ? [{ name, facts }] : [];
  });
