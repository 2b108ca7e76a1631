/** Which machines hold which layers: the planner's choice among those that have the very same checkpoint, or can have it of them. Pure. */
import { DEFAULT_WISH, type Home, type Machine } from "#actors/planner/home";
import { homeOf, type Known } from "#actors/planner/home-of";
import { speedsWith } from "#actors/planner/measured-speeds";
import { type ShardSize, shardBytes } from "#actors/planner/memory-estimate";
import { balanced } from "#actors/planner/placement/balance";
import type { Placement } from "#actors/planner/placement/placement";
import { type Prediction, predict, shortfalls } from "#actors/planner/placement/predict";
import type { Working } from "#actors/planner/work";
import type { NodeId } from "#protocol/ids";
import type { CheckpointView, PlacementSettings, PlacementWish, Stage } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import type { MeasuredSpeeds } from "#protocol/speeds";
import { teamsOf } from "../cluster/instances.ts";
import { hiddenWish, sendings, withHidden, withoutHidden } from "./hidden.ts";
import { shapeIn, wishOfRanks, withWays } from "./ranks.ts";
import { checkNames, isAbsent, leftOutWords, noPlan } from "./rejections.ts";
import { contextOf, plansFor, type Try, tries, wishOf } from "./tries.ts";

/** What a machine answered to who asked for a checkpoint: its view of it, or why it has none. */
export type Looked = CheckpointView | Without;

export interface Without {
  readonly why: string;
  /** It may have what it needs of it from a machine that has it. */
  readonly mayFetch?: boolean;
}

export interface Question {
  readonly model: string;
  readonly wish: PlacementWish;
  readonly known: Known;
  readonly looked: ReadonlyMap<NodeId, Looked>;
  /** Whose checkpoint is meant, where it has one. */
  readonly asker: NodeId;
  /** Machines that are given no work for now, with the reason. */
  readonly barred: ReadonlyMap<NodeId, string>;
  /** Memory that an older placement still takes, less what others are about to take. */
  readonly freed: ReadonlyMap<NodeId, number>;
  /** Fewer machines than were wished for are better than none: the model was ready before. */
  readonly again: boolean;
  /** The same of one for which no answers wait: nobody wishes for them anew. */
  readonly isFewerFine?: boolean;
  readonly settings: PlacementSettings;
  /** What machines measured for this very question; of the others what they measured before. */
  readonly measured: ReadonlyMap<NodeId, MeasuredSpeeds>;
  /** Where it is now, to be compared with. */
  readonly current?: readonly Stage[];
  /** Only on machines that have it on their disks: nothing is fetched. */
  readonly isStored?: boolean;
  /** Whether it fits is all that is asked: nobody reads why it does not. */
  readonly isTrial?: boolean;
}

export interface Choice {
  readonly stages: readonly Stage[];
  readonly digest: string;
  /** That each machine takes at once: keys and values come later. */
  readonly bytes: ReadonlyMap<NodeId, number>;
  /** Why machines take no part. */
  readonly notes: readonly string[];
  /** Tokens per second of all answers together: where it is now, if its machines may still take part, and there. */
  readonly speeds: { readonly current?: number; readonly chosen: number };
}

/** In pieces, as plans take a while. Throws Problem: `notFound` where no machine has the model or one is named that is none, `doesNotFit` with all reasons else. */
export function* choosing(asked: Question): Working<Choice> {
  const { model, known, looked, asker, again, isFewerFine = again } = asked;
  checkNames(asked.wish.nodes, known.nodes);
  const wish = { ...wishOfRanks(asked), ...hiddenWish(asked) };
  const question = { ...asked, wish };
  const seen = referenceOf(looked, asker);
  if (!seen) throw nowhere(question);
  const reference = { ...seen, shape: shapeIn(seen.shape, known) };
  const speedsOf = speedsWith(question.measured, reference);
  const { home: all, leftOut } = homeOf(known, { speedsOf, ...(wish.nodes && { only: wish.nodes }) });
  const { digest } = reference;
  const without = leftOut.filter(isAbsent).map(leftOutWords);
  const considered = (mayFetch: boolean, sent: PlacementWish) => {
    const asking = { ...question, wish: sent };
    const able = all.machines.map((machine) => unable(machine, asking, { reference, mayFetch }));
    const unfit = able.flatMap((why, at) => (why === undefined ? [] : [`${all.machines[at]?.name} ${why}`]));
    const home = among(all, able, question.freed);
    const { backend, hidden } = sent;
    const how = { ...(backend && { sums: backend }), ...(hidden && { hidden }) };
    return { home: { ...home, ...how }, notes: [...unfit, ...without] };
  };
  // What has to be fetched first is the slower one.
  for (const mayFetch of whetherToFetch(asked))
    for (const sent of sendings(wish, isFewerFine)) {
      const { home, notes } = considered(mayFetch, sent);
      for (const each of tries(wish, isFewerFine)) {
        const found = yield* placed(reference, home, question, each);
        if (!found) continue;
        const { stages: ways, said } = withWays(found.stages, question);
        const stages = withHidden(ways, sent);
        return { ...found, stages, digest, bytes: bytesOf(stages, reference), notes: [...notes, ...said] };
      }
    }
  const { home, notes } = considered(true, wish);
  const [last] = tries(wish, false).slice(-1);
  throw noPlan({
    model,
    context: contextOf(reference.shape, question.settings),
    plans:
      last && !question.isTrial
        ? yield* plansFor(reference, home, question, { ...last, explained: true })
        : [],
    home,
    notes,
    others: all.machines.filter(({ node }) => isOther(looked.get(node), digest)).map(({ name }) => name),
  });
}

const whetherToFetch = ({ isStored }: Question): readonly boolean[] => (isStored ? [false] : [false, true]);

/** While answers wait, who has its layers already is better than who would be somewhat faster with others. */
const KEPT_SHARE = 0.5;

/** The fastest of them, beside where the model is now. */
function* placed(
  reference: CheckpointView,
  home: Home,
  question: Question,
  asked: Try,
): Working<Pick<Choice, "stages" | "speeds"> | undefined> {
  const plans = yield* plansFor(reference, home, question, asked);
  const best = fastest(plans.flatMap(({ ranked }) => ranked));
  if (!best) return undefined;
  const wish = wishOf(reference, question, asked);
  const placement = balanced(reference.shape, home, wish, best.placement);
  const rateOf = (stages: Placement) => predict(reference.shape, home, wish, stages).totalTokensPerSecond;
  const current = placementOf(question.current, home);
  const speeds = { chosen: rateOf(placement), ...(current && { current: rateOf(current) }) };
  const isKept =
    question.again &&
    current !== undefined &&
    shortfalls(predict(reference.shape, home, wish, current)).length === 0 &&
    rateOf(current) >= KEPT_SHARE * speeds.chosen;
  return { stages: stagesOf(isKept ? current : placement, home), speeds };
}

/** Those stages, where all of their machines may take part. */
function placementOf(stages: readonly Stage[] = [], { machines }: Home): Placement | undefined {
  const placeOf = (node: NodeId) => machines.findIndex((machine) => machine.node === node);
  if (stages.length === 0 || stages.some(({ node }) => placeOf(node) < 0)) return undefined;
  return teamsOf(stages).flatMap((team) =>
    team.slice(0, 1).map(({ layers }) => ({ machines: team.map(({ node }) => placeOf(node)), ...layers })),
  );
}

/** Whether that is another checkpoint. */
const isOther = (looked: Looked | undefined, digest: string): boolean =>
  looked !== undefined && isView(looked) && looked.digest !== digest;

const isView = (looked: Looked): looked is CheckpointView => "digest" in looked;

/** The asker's, or what most machines have. */
export function referenceOf(looked: ReadonlyMap<NodeId, Looked>, asker: NodeId): CheckpointView | undefined {
  const own = looked.get(asker);
  if (own && isView(own)) return own;
  const views = [...looked.values()].filter(isView);
  const groups = [...Map.groupBy(views, ({ digest }) => digest).values()];
  return groups.sort((a, b) => b.length - a.length)[0]?.[0];
}

export function nowhere({ model, known, looked }: Pick<Question, "model" | "known" | "looked">): Problem {
  const reasons = [...looked].flatMap(([node, each]) => {
    const name = known.nodes.find((view) => view.node === node)?.name ?? node.slice(0, 8);
    return isView(each) ? [] : [`${name} ${each.why}`];
  });
  return new Problem("notFound", [`no machine has ${model}`, ...reasons].join("; "), {
    remedy: `fetch it on each that should take part: exo pull ${model}`,
  });
}

/** Why a machine cannot take part; undefined for one that can. */
function unable(
  { node }: Machine,
  question: Question,
  { reference, mayFetch }: { readonly reference: CheckpointView; readonly mayFetch: boolean },
): string | undefined {
  const { looked, barred, model, current, wish, known } = question;
  const here = looked.get(node);
  const tooOld = withoutHidden(node, wish, known);
  if (tooOld !== undefined) return tooOld;
  if (!here) return `did not say whether it has ${model}`;
  // Who has a part of it now has fetched that already.
  const hasPart = current?.some((stage) => stage.node === node) ?? false;
  if (!isView(here)) return (mayFetch || hasPart) && here.mayFetch ? barred.get(node) : here.why;
  if (here.digest === reference.digest) return barred.get(node);
  return otherWords(here, reference, question);
}

/** `has another sea than ada: the weights of the two differ`. */
export const otherWords = (here: CheckpointView, reference: CheckpointView, among: Among): string =>
  `has another ${among.model} than ${holderOf(reference, among)}: ${difference(here, reference)}`;

type Among = Pick<Question, "model" | "looked" | "known" | "asker">;

/** A machine whose copy that is. */
function holderOf({ digest }: CheckpointView, { looked, known, asker }: Among): string {
  const holders = [...looked].flatMap(([node, each]) =>
    isView(each) && each.digest === digest ? [node] : [],
  );
  const holder = holders.find((node) => node === asker) ?? holders[0];
  return known.nodes.find(({ node }) => node === holder)?.name ?? "the others";
}

function difference(here: CheckpointView, reference: CheckpointView): string {
  const parts = Object.keys(reference.parts).filter((part) => here.parts[part] !== reference.parts[part]);
  const kinds =
    here.quantisation === reference.quantisation
      ? ""
      : ` (${here.quantisation} and ${reference.quantisation})`;
  return `the ${parts.join(" and the ")} of the two differ${kinds}`;
}

function among(all: Home, able: readonly (string | undefined)[], freed: ReadonlyMap<NodeId, number>): Home {
  const kept = [...all.machines.keys()].filter((at) => able[at] === undefined);
  return {
    machines: kept.flatMap((at) => {
      const machine = all.machines[at];
      if (!machine) return [];
      return [{ ...machine, freeBytes: Math.max(0, machine.freeBytes + (freed.get(machine.node) ?? 0)) }];
    }),
    ways: kept.map((from) => kept.map((to) => all.ways[from]?.[to])),
  };
}

const fastest = (all: readonly Prediction[]): Prediction | undefined =>
  all.toSorted((a, b) => a.stepMs - b.stepMs)[0];

const stagesOf = (placement: Placement, home: Home): readonly Stage[] =>
  placement.flatMap(({ machines, start, end }) =>
    machines.flatMap((at, rank) => {
      const node = home.machines[at]?.node;
      return node ? [{ node, layers: { start, end }, ...(machines.length > 1 && { rank }) }] : [];
    }),
  );

/** What each machine has of the model: some layers, or as one of so many ranks its part of them. */
export const sizesOf = (stages: readonly Stage[]): ReadonlyMap<NodeId, ShardSize> =>
  new Map(
    teamsOf(stages).flatMap((team) =>
      team.map(({ node, layers }) => [node, { ...layers, ranks: team.length, activationBytes: 4 }]),
    ),
  );

const bytesOf = (stages: readonly Stage[], { shape }: CheckpointView): ReadonlyMap<NodeId, number> =>
  new Map(
    [...sizesOf(stages)].map(([node, size]) => {
      const { weights, work } = shardBytes(shape, DEFAULT_WISH, size);
      return [node, weights + work];
    }),
  );
