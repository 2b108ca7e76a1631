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
/** Tokens per second of one stream. */
async function speed(part: Part): Promise<number> {
  const startMs = performance.now();
  const answer = await part.answer(
    `r${asked++}`,
    { type: "tokens", tokens: [1, 200 + asked, 300] },
    { maxTokens: TOKENS, ignoreEos: true },
  );
  if (typeof answer === "string") throw new Error(answer);
  return (TOKENS * 1000) / (performance.now() - startMs);
}

await speed(whole);
await speed(last);
const measured: { one: number; all: number }[] = [];
for (let round = 0; round < Number(rounds); round++)
  measured.push({ one: await speed(whole), all: await speed(last) });
const [one, all] = [medianOf(measured.map((each) => each.one)), medianOf(measured.map((each) => each.all))];
const ratios = measured.map((each) => each.all / each.one).sort((x, y) => x - y);
console.log(
  `${name}: one core ${one.toFixed(1)} tok/s, ${machines.length} machines of one core ${all.toFixed(1)} tok/s, ` +
    `ratio ${medianOf(ratios).toFixed(2)} (${ratios[0]?.toFixed(2)} to ${ratios.at(-1)?.toFixed(2)})`,
);
await world.close();
process.exit(0);
