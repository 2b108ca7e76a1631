/**
 * `bun run homes [COUNT] [SEED]`: the planner against exhaustive search over random homes (1,000 of 2 to 5 machines, layers taken four
 * together so that every cut can be tried), and the first exo's rule against the planner over whole models.
 */
import type { Wish } from "#actors/planner/home";
import { type Placement, strategyOf } from "#actors/planner/placement/placement";
import { predict } from "#actors/planner/placement/predict";
import { ringPlacement } from "#actors/planner/placement/ring";
import { search } from "#actors/planner/placement/search";
import { exhaustive } from "./exhaustive.ts";
import { type Random, randomFrom, randomHome, randomModel, wishOf } from "./homes.ts";

export const EVERYTHING = { alone: true, stages: true, groups: true, slack: 1 } as const;

/** How many times slower the planner is than the optimum: 1 is the optimum, Infinity a home that it wrongly refuses. */
export function againstExhaustive(
  random: Random,
  most: number,
  streams: number,
  strategy: "mixed" | "auto" = "auto",
): number | undefined {
  const home = randomHome(random, 2 + Math.floor(random() * (most - 1)), random() < 0.5);
  const model = randomModel(random, 4);
  const wish: Wish = { ...wishOf(random), streams };
  const isMixed = strategy === "mixed";
  const counts = (placement: Placement) => !isMixed || strategyOf(placement) === "tensor in pipeline";
  const optimum = exhaustive(model, home, wish, counts);
  const [found] = search(model, home, wish, { ...EVERYTHING, mixed: isMixed }).found;
  if (!optimum) return found ? 0 : undefined;
  return (found?.stepMs ?? Number.POSITIVE_INFINITY) / optimum.stepMs;
}

interface Rule {
  /** Times the optimum, of homes in which one machine could do it, and in which it takes several. */
  readonly alone: number[];
  readonly several: number[];
  refused: number;
}

function ringRule(random: Random, count: number): Rule {
  const rule: Rule = { alone: [], several: [], refused: 0 };
  for (let at = 0; at < count; at++) {
    const home = randomHome(random, 2 + Math.floor(random() * 4), random() < 0.5);
    const model = randomModel(random);
    const wish = wishOf(random);
    const [best] = search(model, home, wish, EVERYTHING).found;
    if (!best) continue;
    const [single] = search(model, home, wish, { ...EVERYTHING, stages: false, groups: false }).found;
    const placed = ringPlacement(model, home, wish);
    if (!placed) rule.refused++;
    else rule[single ? "alone" : "several"].push(predict(model, home, wish, placed).stepMs / best.stepMs);
  }
  return rule;
}

const at = (sorted: readonly number[], share: number): string =>
  (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(3);

function shown(name: string, ratios: readonly number[]): string {
  const sorted = ratios.toSorted((a, b) => a - b);
  const marks = [0.5, 0.9, 0.99, 1].map((share) => `p${share * 100} ${at(sorted, share)}`);
  return `${name}, ${ratios.length} homes: times the best ${marks.join("  ")}\n`;
}

if (import.meta.main) {
  const [count = 1000, seed = 1] = process.argv.slice(2).map(Number);
  for (const streams of [1, 4]) {
    const random = randomFrom(seed);
    const ratios: number[] = [];
    while (ratios.length < count) {
      const ratio = againstExhaustive(random, 5, streams);
      if (ratio !== undefined) ratios.push(ratio);
    }
    process.stdout.write(shown(`planner, ${streams} streams`, ratios));
  }
  const rule = ringRule(randomFrom(seed), count * 4);
  process.stdout.write(shown("ring rule, model fits one machine", rule.alone));
  process.stdout.write(shown("ring rule, model needs several", rule.several));
  process.stdout.write(`ring rule refuses ${rule.refused} homes that can do it\n`);
}
