/**
 * Answers by one machine of one core against two of one core each that share every layer: real workers, each pinned to a core with
 * the thread that carries its sums, real TLS between their machines (one process, which takes what it needs of either core). One
 * stream: what is measured is whether sums come back in less time than sharing saves. Rounds alternate.
 * Run: bun bench/tensor.ts [GGUF file or folder] [rounds] [tokens] [ranks]; cores that nobody else uses.
 */

import { medianOf } from "#actors/supervisor/bench/statistics";
import { Part } from "../tests/cluster/worker-group.ts";
import { World } from "../tests/runtime/relay-world.ts";
import { modelPath } from "./models.ts";

const [name = "1b-q4_0", rounds = "5", length = "48", count = "2"] = process.argv.slice(2);
const TOKENS = Number(length);
const path = await modelPath(name);
const world = new World();
const machines = [...(await world.two())];
while (machines.length < Number(count)) {
  const next = await world.machine();
  for (const other of machines) await other.join(next);
  machines.push(next);
}
const core = (number: number) => ["taskset", "-c", String(number)];

const [first] = machines;
if (!first) throw new Error("no machine");
const whole = await Part.loaded(first, "worker-whole", { path, under: core(0) });
const ranks = await Promise.all(
  machines.map((machine, rank) =>
    Part.loaded(machine, `worker-${rank}`, { path, under: core(rank), rank: [rank, machines.length] }),
  ),
);
await Part.join(ranks, 1, "ranks");
const last = ranks.at(-1) ?? whole;

let asked = 0;
/** Milliseconds between the tokens of one stream. */
async function gaps(part: Part): Promise<readonly number[]> {
  const id = `r${asked++}`;
  const atMs: number[] = [];
  const ended = part.until((reply) => {
    if (reply.type !== "GenerationReply.Delta" || reply.request !== id) return undefined;
    if (reply.delta.type === "text") atMs.push(performance.now());
    return reply.delta.type === "finish" ? true : undefined;
  });
  const prompt = { type: "tokens" as const, tokens: [1, 200 + asked, 300] };
  const answer = await part.answer(id, prompt, { maxTokens: TOKENS, ignoreEos: true });
  if (typeof answer === "string") throw new Error(answer);
  await ended;
  return atMs.slice(1).map((ms, i) => ms - (atMs[i] ?? ms));
}

const perSecond = (all: readonly number[]): number =>
  (1000 * all.length) / all.reduce((sum, ms) => sum + ms, 0);
/** What nobody else disturbed, where others are at work too: the fastest tenth of all tokens. */
const undisturbed = (all: readonly number[]): number =>
  1000 / (all.toSorted((a, b) => a - b)[Math.floor(all.length / 10)] ?? Number.NaN);

await gaps(whole);
await gaps(last);
const measured: { one: readonly number[]; all: readonly number[] }[] = [];
for (let round = 0; round < Number(rounds); round++)
  measured.push({ one: await gaps(whole), all: await gaps(last) });
const ratios = measured.map(({ one, all }) => perSecond(all) / perSecond(one)).sort((x, y) => x - y);
const [one, all] = [measured.flatMap((each) => each.one), measured.flatMap((each) => each.all)];
const shown = (ratio: number | undefined) => ratio?.toFixed(2);
console.log(
  `${name}: one core ${perSecond(one).toFixed(1)} tok/s, ${machines.length} machines of one core ${perSecond(all).toFixed(1)} tok/s, ` +
    `ratio ${shown(medianOf(ratios))} (${shown(ratios[0])} to ${shown(ratios.at(-1))}); ` +
    `the fastest tenth of tokens ${undisturbed(one).toFixed(1)} and ${undisturbed(all).toFixed(1)}, ratio ${shown(undisturbed(all) / undisturbed(one))}`,
);
await world.close();
process.exit(0);
