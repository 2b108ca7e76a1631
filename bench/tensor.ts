/**
 * Answers by one machine of one core against machines of one core each that share every layer: whole `exo serve` processes of one
 * home on this machine, each with its workers pinned to a core of its own, real TLS between them. One stream: what is measured is
 * whether sums come back in less time than sharing saves. Rounds alternate between the machine alone and all of them, which is loaded
 * anew for each. Run: bun bench/tensor.ts [GGUF file] [rounds] [tokens] [ranks]; cores that nobody else uses.
 */

import { basename } from "node:path";
import { medianOf } from "#actors/supervisor/bench/statistics";
import { modelPath } from "./models.ts";
import { coreHome } from "./split/core-home.ts";

const [name = "1b-q4_0", rounds = "4", length = "48", count = "2"] = process.argv.slice(2);
const path = await modelPath(name);
const model = basename(path, ".gguf");
await using home = await coreHome(Number(count), path);
const { names } = home;

/** Milliseconds between the pieces of one stream, over the API of the first. */
async function gaps(): Promise<readonly number[]> {
  const answer = await home.ask("/v1/completions", {
    model,
    prompt: "the sea",
    max_tokens: Number(length),
    temperature: 0,
    stream: true,
    ignore_eos: true,
  });
  const atMs: number[] = [];
  for await (const _ of answer.body ?? []) atMs.push(performance.now());
  return atMs.slice(1, -1).map((ms, i) => ms - (atMs[i] ?? ms));
}

/** A round of those machines. */
async function measured(on: readonly string[], strategy: "single" | "tensor"): Promise<readonly number[]> {
  await home.ask("/exo/v1/load", { model, nodes: on, strategy });
  await gaps();
  const found = await gaps();
  await home.ask("/exo/v1/stop", { model, now: true });
  return found;
}

const perSecond = (all: readonly number[]): number =>
  (1000 * all.length) / all.reduce((sum, ms) => sum + ms, 0);
/** What nobody else disturbed, where others are at work too: the fastest tenth of all tokens. */
const undisturbed = (all: readonly number[]): number =>
  1000 / (all.toSorted((a, b) => a - b)[Math.floor(all.length / 10)] ?? Number.NaN);
const shown = (ratio: number | undefined) => ratio?.toFixed(2);

const pairs: { readonly one: readonly number[]; readonly all: readonly number[] }[] = [];
for (let round = 0; round < Number(rounds); round++)
  pairs.push({ one: await measured(names.slice(0, 1), "single"), all: await measured(names, "tensor") });
const ratios = pairs.map(({ one, all }) => perSecond(all) / perSecond(one)).sort((x, y) => x - y);
const [one, all] = [pairs.flatMap((each) => each.one), pairs.flatMap((each) => each.all)];
console.log(
  `${name}: one core ${perSecond(one).toFixed(1)} tok/s, ${names.length} machines of one core ${perSecond(all).toFixed(1)} tok/s, ` +
    `ratio ${shown(medianOf(ratios))} (${shown(ratios[0])} to ${shown(ratios.at(-1))}); ` +
    `the fastest tenth of tokens ${undisturbed(one).toFixed(1)} and ${undisturbed(all).toFixed(1)}, ratio ${shown(undisturbed(all) / undisturbed(one))}`,
);
