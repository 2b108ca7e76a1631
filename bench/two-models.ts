/**
 * Two models on one machine: tokens per second of two worker processes that answer at once, in turns with one alone. Says
 * whether they share the processors or fight for them; nothing of a supervisor or HTTP. Each process holds a copy of the
 * model; EXO_THREADS threads each, by default one for each core.
 *
 *   bun bench/two-models.ts [MODEL or FILE.gguf] [ROUNDS] [TOKENS]
 */
import { medianOf } from "#actors/supervisor/bench/statistics";
import { modelPath } from "./models.ts";
import { openSide, type Side } from "./peers-side.ts";

const [name = "smollm2", rounds = "7", tokens = "150"] = process.argv.slice(2);
const prompt = Array.from({ length: 8 }, (_, i) => i + 100);

/** Tokens a second between the first and the last of one answer. */
async function rateOf(side: Side): Promise<number> {
  const [answer] = await side.run({ prompts: [prompt], output: Number(tokens) });
  const { ms = [] } = answer ?? {};
  return ((ms.length - 1) * 1000) / ((ms.at(-1) ?? 0) - (ms[0] ?? 0));
}

const shown = (values: readonly number[], digits = 1): string => {
  const [middle, least, most] = [medianOf(values), Math.min(...values), Math.max(...values)];
  return `${middle.toFixed(digits)} (${least.toFixed(digits)} to ${most.toFixed(digits)})`;
};

const options = {
  threads: Number(process.env.EXO_THREADS ?? navigator.hardwareConcurrency),
  model: await modelPath(name),
  context: 2048,
};
await using first = await openSide("exo", options);
await using second = await openSide("exo", options);
await rateOf(first);
await rateOf(second);
const alone: number[] = [];
const together: number[] = [];
for (let round = 0; round < Number(rounds); round++) {
  alone.push(await rateOf(round % 2 === 0 ? first : second));
  const [a, b] = await Promise.all([rateOf(first), rateOf(second)]);
  together.push(a + b);
}
console.log(`one alone: ${shown(alone)} tokens/s`);
console.log(`two at once, together: ${shown(together)} tokens/s`);
const ratios = together.map((rate, round) => rate / (alone[round] ?? Number.NaN));
console.log(`of one alone, round by round: ${shown(ratios, 2)}`);
