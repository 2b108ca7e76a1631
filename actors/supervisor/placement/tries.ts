/** What is asked of the planner, one after the other, until there is a plan. */
import { DEFAULT_WISH, type Home, KV_BYTES, type StrategyWish, type Wish } from "#actors/planner/home";
import { type Plans, planning, ranking } from "#actors/planner/plan";
import type { Working } from "#actors/planner/work";
import type { CheckpointView, PlacementSettings, PlacementWish } from "#protocol/placement";
import type { Question } from "./choose.ts";

/** Ranks only where they are asked for: what a sum costs between two machines is not measured, only their link. */
const STRATEGIES = ["single", "pipeline"] as const;

export interface Try extends Pick<Wish, "streams" | "minimumNodes"> {
  readonly strategies: readonly StrategyWish[];
  /** Where nothing fits, with what would. */
  readonly explained?: boolean;
}

/** Answers at once for which a pipeline is cut: its stages are then equally busy. */
export const SHARED_STREAMS = 4;

/** What is wished for, with room for less if need be; then, where fewer machines are better than none, whatever there is. */
export function tries(wish: PlacementWish, isFewerFine: boolean): Try[] {
  const { nodes, minimumNodes = nodes?.length ?? 1, strategy, sharedStages } = wish;
  const strategies = sharedStages ? (["mixed"] as const) : strategy ? [strategy] : STRATEGIES;
  const wished = { minimumNodes, strategies, streams: 1 };
  const isShared = minimumNodes > 1 || sharedStages || strategy === "pipeline" || strategy === "tensor";
  return [
    ...(isShared ? [{ ...wished, streams: SHARED_STREAMS }] : []),
    wished,
    ...(isFewerFine && isShared ? [{ minimumNodes: 1, strategies: STRATEGIES, streams: 1 }] : []),
  ];
}

export const wishOf = (
  { shape }: CheckpointView,
  { settings }: Question,
  { streams, minimumNodes }: Try,
): Wish => ({
  ...DEFAULT_WISH,
  context: contextOf(shape, settings),
  kvBytes: KV_BYTES[settings.kvQuant],
  streams,
  minimumNodes,
});

export function* plansFor(
  reference: CheckpointView,
  home: Home,
  question: Question,
  asked: Try,
): Working<readonly Plans[]> {
  const wish = wishOf(reference, question, asked);
  const plans: Plans[] = [];
  const made = asked.explained ? planning : ranking;
  for (const each of asked.strategies) plans.push(yield* made(reference.shape, home, wish, each));
  return plans;
}

/** What is asked for, as far as the model goes; where nobody says, what most conversations need. */
export const contextOf = (
  { contextLength: most = Number.POSITIVE_INFINITY }: CheckpointView["shape"],
  { contextLength = DEFAULT_WISH.context }: PlacementSettings,
): number => Math.min(contextLength, most);
