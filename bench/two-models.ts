/**
 * Two models on one machine: tokens per second of two worker processes that answer at once, in turns with one alone. Says
 * whether they share the processors or fight for them; nothing of a supervisor or HTTP. `bun bench/two-models.ts MODEL [ROUNDS
 * [TOKENS]]`; each process holds a copy of the model.
 */
import { openSide, type Side } from "./peers-side.ts";

const [model, rounds = "7", tokens = "150"] = process.argv.slice(2);
if (model === undefined) throw new Error("say which model: bun bench/two-models.ts FILE.gguf");
const prompt = Array.from({ length: 8 }, (_, i) => i + 100);

/** Tokens a second between the first and the last of one answer. */
async function rateOf(side: Side): Promise<number> {
  const [answer] = await side.run({ prompts: [prompt], output: Number(tokens) });
  const { ms = [] } = answer ?? {};
  return ((ms.length - 1) * 1000) / ((ms.at(-1) ?? 0) - (ms[0] ?? 0));
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const shown = (values: readonly number[]): string =>
  `${median(values).toFixed(1)} (${Math.min(...values).toFixed(1)} to ${Math.max(...values).toFixed(1)})`;

const options = {
  threads: Number(process.env.EXO_THREADS ?? navigator.hardwareConcurrency),
  model,
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
console.log(
  `two at once, together: ${shown(together)} tokens/s, ${(median(together) / median(alone)).toFixed(2)} of one`,
);
