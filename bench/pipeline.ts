/**
 * Answers by one machine of one core against two of one core each, every one with half of the layers: real workers pinned to cores,
 * real TLS between their machines (which take what they need of either core). One stream shows what hops cost, four whether both
 * machines are busy. Rounds alternate. Run: bun bench/pipeline.ts [GGUF file or folder] [rounds] [tokens]
 * [layers of the first]; two cores that nobody else uses.
 */

import { readModelShape } from "#actors/shard-worker/weights/checkpoint";
import { medianOf } from "#actors/supervisor/bench/statistics";
import { Part } from "../tests/cluster/worker-group.ts";
import { World } from "../tests/runtime/relay-world.ts";
import { modelPath } from "./models.ts";

const [name = "smollm2", rounds = "5", length = "64", cutAt] = process.argv.slice(2);
const TOKENS = Number(length);
const path = await modelPath(name);
const layers = readModelShape(path).layers.length;
const cut = Number(cutAt ?? layers / 2);
const core = (number: number) => ["taskset", "-c", String(number)];

const world = new World();
const [a, b] = await world.two();
const whole = await Part.loaded(a, "worker-whole", { path, under: core(0) });
const first = await Part.loaded(a, "worker-first", { path, under: core(0), layers: { start: 0, end: cut } });
const last = await Part.loaded(b, "worker-last", {
  path,
  under: core(1),
  layers: { start: cut, end: layers },
});
await Part.join([first, last], 1);

let asked = 0;
/** Tokens per second of so many streams in all. */
async function speed(part: Part, streams: number): Promise<number> {
  const startMs = performance.now();
  const answers = await Promise.all(
    Array.from({ length: streams }, (_, i) =>
      part.answer(
        `r${asked++}`,
        { type: "tokens", tokens: [1, 200 + i, 300 + i] },
        { maxTokens: TOKENS, ignoreEos: true },
      ),
    ),
  );
  const told = answers.find((answer) => typeof answer === "string");
  if (told !== undefined) throw new Error(String(told));
  return (streams * TOKENS * 1000) / (performance.now() - startMs);
}

for (const streams of [1, 4]) {
  const measured: { one: number; two: number }[] = [];
  await speed(whole, streams);
  await speed(last, streams);
  for (let round = 0; round < Number(rounds); round++)
    measured.push({ one: await speed(whole, streams), two: await speed(last, streams) });
  const [one, two] = [medianOf(measured.map((each) => each.one)), medianOf(measured.map((each) => each.two))];
  const ratios = measured.map((each) => each.two / each.one).sort((x, y) => x - y);
  console.log(
    `${name}, ${streams} streams: one core ${one.toFixed(1)} tok/s, two machines of one core ${two.toFixed(1)} tok/s, ` +
      `ratio ${medianOf(ratios).toFixed(2)} (${ratios[0]?.toFixed(2)} to ${ratios.at(-1)?.toFixed(2)})`,
  );
}
await world.close();
process.exit(0);
