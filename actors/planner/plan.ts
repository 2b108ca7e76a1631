/** Where a model may run: placements ranked by what they would give, and for all others the reason why not. */
import type { Division, ModelShape } from "#protocol/model-shape";
import type { Home, StrategyWish, Wish } from "./home.ts";
import { Effort } from "./placement/effort.ts";
import { type Prediction, predict, shortfalls } from "./placement/predict.ts";
import { ringPlacement } from "./placement/ring.ts";
import { EFFORT_MAX, EXACT_MAX, type Options, type Outcome, searching } from "./placement/search.ts";
import { indivisible } from "./placement/tensor.ts";
import { finished, type Working } from "./work.ts";

/** Machines by their place in the home. */
export type Rejection =
  | {
      readonly type: "memory";
      readonly machines: readonly number[];
      /** Bytes that each lacks. */
      readonly short: readonly { readonly machine: number; readonly bytes: number }[];
    }
  | { readonly type: "indivisible"; readonly ranks: number; readonly division: Division }
  | { readonly type: "unlinked"; readonly machines: readonly number[] }
  | { readonly type: "fewMachines"; readonly wanted: number; readonly have: number }
  /** More than one are to take part in what one machine computes alone. */
  | { readonly type: "manyMachines"; readonly wanted: number }
  /** All together would not do. */
  | { readonly type: "home"; readonly shortBytes: number }
  /** The ring rule alone: it tries one set only. */
  | { readonly type: "ring" };

export interface Plans extends Omit<Outcome, "found"> {
  /** Fastest first, at most one for each set of machines. */
  readonly ranked: readonly Prediction[];
  readonly rejected: readonly Rejection[];
  /** Where nothing fits: the longest context, halved as often as it takes, that would. */
  readonly closest?: { readonly context: number; readonly prediction: Prediction };
}

/** Homes up to so many machines have the best placement of each set of them listed, up to so many times slower than the first. */
const [LISTED_MAX, LISTED] = [5, 20];
/** No shorter context is offered. */
const CONTEXT_MIN = 512;

/** Pure: the same model, home and wish give the same plans. */
export const plan = (model: ModelShape, home: Home, wish: Wish, strategy: StrategyWish = "auto"): Plans =>
  finished(planning(model, home, wish, strategy));

/** The same in pieces, for who has others to hear meanwhile. */
export function* planning(model: ModelShape, home: Home, wish: Wish, strategy: StrategyWish): Working<Plans> {
  const found = yield* ranking(model, home, wish, strategy);
  if (found.ranked.length > 0 || strategy === "ring") return found;
  const effort = new Effort(EFFORT_MAX);
  for (let context = wish.context / 2; context >= CONTEXT_MIN; context /= 2) {
    const shorter = { ...atLeast(wish, strategy), context: Math.floor(context) };
    const tried = yield* searching(model, home, shorter, { ...ALLOWED[strategy], slack: 1, effort });
    const [prediction] = tried.found;
    if (prediction) return { ...found, closest: { context: shorter.context, prediction } };
  }
  return found;
}

/** Without what would fit instead. */
export function* ranking(model: ModelShape, home: Home, wish: Wish, strategy: StrategyWish): Working<Plans> {
  return strategy === "ring" ? byRing(model, home, wish) : yield* bySearch(model, home, wish, strategy);
}

const ALLOWED: Readonly<Record<Exclude<StrategyWish, "ring">, Omit<Options, "slack">>> = {
  auto: { alone: true, stages: true, groups: true },
  single: { alone: true, stages: false, groups: false },
  pipeline: { alone: false, stages: true, groups: false },
  tensor: { alone: false, stages: false, groups: true },
  mixed: { alone: false, stages: true, groups: true, mixed: true },
};

/** A mixed placement has a group, and another stage. */
const LEAST_MACHINES = { auto: 1, single: 1, pipeline: 2, tensor: 2, mixed: 3 } as const;

const atLeast = (wish: Wish, strategy: Exclude<StrategyWish, "ring">): Wish => ({
  ...wish,
  minimumNodes: Math.max(LEAST_MACHINES[strategy], wish.minimumNodes),
});

function* bySearch(
  model: ModelShape,
  home: Home,
  wish: Wish,
  strategy: Exclude<StrategyWish, "ring">,
): Working<Plans> {
  const slack = home.machines.length <= LISTED_MAX ? LISTED : 1;
  const allowed = ALLOWED[strategy];
  const wanted = atLeast(wish, strategy);
  const least = wanted.minimumNodes;
  const { found, exact, gap } = yield* searching(model, home, wanted, { ...allowed, slack });
  const rejected: Rejection[] = [];
  if (home.machines.length < least)
    rejected.push({ type: "fewMachines", wanted: least, have: home.machines.length });
  else if (strategy === "single" && least > 1) rejected.push({ type: "manyMachines", wanted: least });
  if (allowed.alone) rejected.push(...tooSmall(model, home, wish));
  if (allowed.stages || allowed.groups) rejected.push(...unlinked(home));
  if (allowed.groups) rejected.push(...indivisibles(model, home));
  if (found.length === 0) rejected.push(...wholeHome(model, home, wish));
  return { ranked: found, rejected, exact, gap };
}

function byRing(model: ModelShape, home: Home, wish: Wish): Plans {
  const placement = ringPlacement(model, home, wish);
  const outcome = { exact: true, gap: 0 };
  if (!placement)
    return { ...outcome, ranked: [], rejected: [{ type: "ring" }, ...wholeHome(model, home, wish)] };
  const prediction = predict(model, home, wish, placement);
  const short = shortfalls(prediction);
  if (short.length === 0) return { ...outcome, ranked: [prediction], rejected: [] };
  const machines = placement.flatMap((stage) => stage.machines);
  return { ...outcome, ranked: [], rejected: [{ type: "memory", machines, short }] };
}

const whole = (model: ModelShape, machines: readonly number[]) => [
  { machines, start: 0, end: model.layers.length },
];

/** Machines that cannot hold it by themselves. */
const tooSmall = (model: ModelShape, home: Home, wish: Wish): readonly Rejection[] =>
  home.machines.flatMap((_, at): Rejection[] => {
    const short = shortfalls(predict(model, home, wish, whole(model, [at])));
    return short.length === 0 ? [] : [{ type: "memory", machines: [at], short }];
  });

/** Pairs between which no link is known in one direction or both. */
const unlinked = ({ machines, ways }: Home): readonly Rejection[] =>
  machines.flatMap((_, a) =>
    machines.flatMap((_other, b): Rejection[] =>
      a < b && !(ways[a]?.[b] && ways[b]?.[a]) ? [{ type: "unlinked", machines: [a, b] }] : [],
    ),
  );

const indivisibles = (model: ModelShape, { machines }: Home): readonly Rejection[] =>
  machines.slice(0, EXACT_MAX).flatMap((_, at): Rejection[] => {
    const division = at > 0 ? indivisible(model, at + 1) : undefined;
    return division ? [{ type: "indivisible", ranks: at + 1, division }] : [];
  });

/** What all machines together lack, each paying for its own work; 0 where only the cut does not come out. */
function wholeHome(model: ModelShape, home: Home, wish: Wish): readonly Rejection[] {
  const loads = home.machines.map((_, at) => predict(model, home, wish, whole(model, [at])).loads[0]);
  const needed = Math.max(0, ...loads.map((load) => (load ? load.weights + load.kv : 0)));
  const room = loads.reduce((sum, load) => sum + (load ? Math.max(0, load.usable - load.work) : 0), 0);
  return home.machines.length === 0 ? [] : [{ type: "home", shortBytes: Math.max(0, needed - room) }];
}
