/**
 * `bun run sim --seed N` replays one run, `bun run sim --minutes M` runs new seeds for so long, `--seeds A..B` those. `--nodes 5`,
 * `--world raft|home|all`, `--trace FILE` (of a single seed). Prints failing seeds only, with how to see them again; ends with status 1 then.
 */
import { homeStorm } from "./home-storm.ts";
import { raftStorm } from "./raft-storm.ts";
import type { Storm } from "./storm.ts";

const WORLDS: Readonly<Record<string, (seed: number, nodes: number) => Promise<Storm>>> = {
  raft: raftStorm,
  home: homeStorm,
};

const option = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};

function* seeds(): Generator<number> {
  const one = option("seed");
  if (one !== undefined) return yield Number(one);
  const [first = "1", last = first] = option("seeds")?.split("..") ?? [];
  if (option("seeds") !== undefined) {
    for (let seed = Number(first); seed <= Number(last); seed++) yield seed;
    return;
  }
  const endMs = performance.now() + Number(option("minutes") ?? 1) * 60_000;
  while (performance.now() < endMs) yield Math.floor(Math.random() * 2 ** 31);
}

const nodes = Number(option("nodes") ?? 5);
const wanted = option("world") ?? "all";
const worlds = Object.entries(WORLDS).filter(([name]) => wanted === "all" || wanted === name);
const startMs = performance.now();
const cpu = process.cpuUsage();
let virtualMs = 0;
let runs = 0;
let bad = 0;
for (const seed of seeds())
  for (const [world, storm] of worlds) {
    const run = await storm(seed, nodes);
    runs += 1;
    virtualMs += run.virtualMs;
    if (option("seed") !== undefined)
      console.log(`${world} seed ${seed}: digest ${run.digest}, ${run.did} changes`);
    if (run.violations.length === 0) continue;
    bad += 1;
    console.log(
      `${world}: ${run.violations[0]} (again: bun run sim --world ${world} --nodes ${nodes} --seed ${seed})`,
    );
    if (process.argv.includes("--first")) process.exit(1);
  }
const used = process.cpuUsage(cpu);
console.log(`cpu x ${((virtualMs / (used.user + used.system)) * 1000).toFixed(0)}`);
const realMs = performance.now() - startMs;
console.log(
  `${runs} runs, ${bad} with violations, ${((virtualMs * nodes) / 3_600_000).toFixed(1)} node-hours (${(virtualMs / 3_600_000).toFixed(2)} cluster-hours) at ${(virtualMs / realMs).toFixed(0)} x real time`,
);
process.exit(bad > 0 ? 1 : 0);
