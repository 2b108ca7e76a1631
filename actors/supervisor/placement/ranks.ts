/** By what the ranks of a placement add up: what is wished for, settled by what the machines are. Pure. */

import { type Member, pickBackend, requireBackend, strategyFor } from "#actors/planner/backends";
import { homeOf, type Known } from "#actors/planner/home-of";
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import type { ModelShape } from "#protocol/model-shape";
import { PLACEMENTS } from "#protocol/node";
import type { PlacementWish, Stage } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import { teamsOf } from "../cluster/instances.ts";
import { cell } from "../terminal/node-words.ts";
import { isBackSoon, isUp, SETTLED_MS } from "./there.ts";

interface Wishing {
  readonly wish: PlacementWish;
  readonly known: Known;
  /** Answers wait for the model: ranks that add up in another way than was wished for are better than none. */
  readonly again: boolean;
}

/** The wish with the strategy that its backend asks for; throws Problem where these machines cannot have that backend. */
export function wishOfRanks({ wish, known, again }: Wishing): PlacementWish {
  const { nodes, minimumNodes = nodes?.length ?? 1 } = wish;
  const settled = settledOf(wish, known, again);
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

/** With the strategy that it comes to. */
function settledOf(wish: PlacementWish, known: Known, again: boolean): PlacementWish {
  const { sharedStages, ...others } = wish;
  if (!sharedStages) {
    const strategy = strategyFor(wish.strategy, wish.backend);
    return { ...others, ...(strategy && { strategy }) };
  }
  try {
    requireSharedStages(known);
    return wish;
  } catch (error) {
    if (!again || !(error instanceof Problem)) throw error;
    const { backend: _, ...row } = others;
    return row;
  }
}

/** The stages with what each rank is to add up by, and what there is to say of it. */
export function withWays(
  stages: readonly Stage[],
  { wish, known }: Pick<Wishing, "wish" | "known">,
): { readonly stages: readonly Stage[]; readonly said: readonly string[] } {
  const bare = stages.map(({ way: _, ...stage }) => stage);
  const teams = teamsOf(bare).map((team) => {
    if (team.length < 2) return { stages: team, said: [] };
    const { ways, notes } = pickBackend(wish.backend, membersOf(team, known));
    const each = team.map((stage, rank) => {
      const way = ways?.[rank];
      return way ? { ...stage, way } : stage;
    });
    return { stages: each, said: notes };
  });
  return {
    stages: teams.flatMap((team) => team.stages),
    said: [...new Set(teams.flatMap(({ said }) => said))],
  };
}

/**
 * Throws Problem where a machine of the home does not know stages that ranks share, also one that takes no part: each keeps the log, and
 * would refuse what the others take. One of which nothing was heard so far, and that is not about to be there, is not waited for: it may
 * be off for good. If it comes back and is too old, it refuses the model's entries of the log, and those alone.
 */
export function requireSharedStages({ nodes }: Known): void {
  const [sharedStages] = PLACEMENTS;
  const members = nodes.filter(({ state }) => state !== "unpaired");
  const unsaid = members.filter((view) => !view.facts && mayBeUp(view));
  const old = members.filter(({ facts }) => facts && !facts.placements?.includes(sharedStages));
  if (unsaid.length + old.length === 0) return;
  const reasons = [
    ...old.map(({ name }) => `${cell(name)} has an exo that is too old for that`),
    ...unsaid.map(({ name }) => `${cell(name)} did not say so far whether it knows such stages`),
  ];
  const why = `no stage of a pipeline can be shared in this home: ${reasons.join("; ")}`;
  // Of a machine that was linked just now it may be known in a moment.
  throw new Problem(old.length > 0 ? "invalid" : "doesNotFit", why, {
    param: "strategy",
    remedy: `${old.length > 0 ? "have every machine of the home run this version of exo" : "ask again in a moment"}, or ask for --strategy pipeline`,
  });
}

/** With a link, or about to have one. */
const mayBeUp = (view: NodeView): boolean =>
  isUp(view) || (isBackSoon(view) && (view.silentMs ?? 0) < SETTLED_MS);

/** What ranks of this home have to divide: also key-value heads, where one of its machines cannot hold a head that another holds too. */
export function shapeIn(shape: ModelShape, { nodes }: Known): ModelShape {
  const [, sharedHeads] = PLACEMENTS;
  const isKnown = nodes.every(({ facts }) => !facts || facts.placements?.includes(sharedHeads));
  if (isKnown || shape.divisions.length === 0) return shape;
  return {
    ...shape,
    divisions: [...shape.divisions, { what: "key-value heads", size: shape.kvHeads, piece: 1 }],
  };
}

/** Machines whose facts are known, in that order. */
export const membersOf = (of: readonly { readonly node: NodeId }[], { nodes }: Known): readonly Member[] =>
  of.flatMap(({ node }) => {
    const { name, facts } = nodes.find((each) => each.node === node) ?? {};
    return name !== undefined && facts ? [{ name, facts }] : [];
  });
