/**
 * `bun run sim --seed N` replays one run, `--seeds A..B` those, `--minutes M` or `--hours H` new seeds for so long. `--nodes 5` (or
 * `5,20`: in turn), `--world raft|home|workers|all`, `--first` to end at the first violation. `--live 60`: a home lives for so many minutes
 * instead of through one storm, with calm spells between its storms. Prints a line a minute, each failing seed with how to see it again, and
 * one line of JSON at the end, in which hours of storm and all hours are told apart; ends with status 1 where anything was violated.
 */
import { homeStorm } from "./home-storm.ts";
import { raftStorm } from "./raft-storm.ts";
import type { Storm } from "./storm.ts";

const option = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};

const live = Number(option("live") ?? 0);
const WORLDS: Readonly<Record<string, (seed: number, nodes: number) => Promise<Storm>>> = {
  raft: raftStorm,
  home: (seed, nodes) => homeStorm(seed, nodes, { minutes: live }),
  workers: (seed, nodes) => homeStorm(seed, nodes, { workers: Math.floor(nodes / 3), minutes: live }),
};
const LINE_EVERY_MS = 60_000;
/** Logs alone are those of voters, of which a home has five at most. */
const RAFT_NODES_MAX = 9;
const HOUR_MS = 3_600_000;

function* seeds(): Generator<number> {
  const one = option("seed");
  if (one !== undefined) return yield Number(one);
  const [first = "1", last = first] = option("seeds")?.split("..") ?? [];
  if (option("seeds") !== undefined) {
    for (let seed = Number(first); seed <= Number(last); seed++) yield seed;
    return;
  }
  const minutes = Number(option("minutes") ?? 60 * Number(option("hours") ?? 1 / 60));
  const endMs = performance.now() + minutes * 60_000;
  while (performance.now() < endMs) yield Math.floor(Math.random() * 2 ** 31);
}

const sizes = (option("nodes") ?? "5").split(",").map(Number);
const wanted = option("world") ?? "all";
const worlds = Object.entries(WORLDS).filter(([name]) => wanted === "all" || wanted === name);
const startMs = performance.now();
const startCpu = process.cpuUsage();
const totals = { runs: 0, changes: 0, clusterHours: 0, stormHours: 0, nodeHours: 0 };
const failed: { world: string; nodes: number; seed: number; why: string }[] = [];
let saidMs = startMs;

function note(
  world: string,
  nodes: number,
  { seed, violations, virtualMs, stormMs = virtualMs, did, digest }: Storm,
): void {
  totals.runs += 1;
  totals.changes += did;
  totals.clusterHours += virtualMs / HOUR_MS;
  totals.stormHours += stormMs / HOUR_MS;
  totals.nodeHours += (virtualMs * nodes) / HOUR_MS;
  if (option("seed") !== undefined) console.log(`${world} seed ${seed}: digest ${digest}, ${did} changes`);
  const [why] = violations;
  if (why === undefined) return;
  failed.push({ world, nodes, seed, why });
  const mode = live > 0 ? ` --live ${live}` : "";
  console.log(
    `${world}: ${why} (again: bun run sim --world ${world} --nodes ${nodes}${mode} --seed ${seed})`,
  );
}

function summary() {
  const cpu = process.cpuUsage(startCpu);
  const simulatedMs = totals.clusterHours * HOUR_MS;
  return {
    ...totals,
    clusterHours: Number(totals.clusterHours.toFixed(2)),
    stormHours: Number(totals.stormHours.toFixed(2)),
    nodeHours: Number(totals.nodeHours.toFixed(2)),
    timesRealTime: Math.round(simulatedMs / (performance.now() - startMs)),
    timesCpuTime: Math.round((simulatedMs * 1000) / (cpu.user + cpu.system)),
    failed,
  };
}

for (const seed of seeds()) {
  for (const size of sizes)
    for (const [world, storm] of worlds) {
      const nodes = world === "raft" ? Math.min(size, RAFT_NODES_MAX) : size;
      note(world, nodes, await storm(seed, nodes));
      if (failed.length > 0 && process.argv.includes("--first")) break;
    }
  if (failed.length > 0 && process.argv.includes("--first")) break;
  if (performance.now() - saidMs < LINE_EVERY_MS) continue;
  saidMs = performance.now();
  const { runs, clusterHours, stormHours, timesRealTime } = summary();
  console.log(
    `${runs} runs, ${failed.length} with violations, ${clusterHours} cluster-hours, ${stormHours} of them storm, at ${timesRealTime} x real time`,
  );
}
console.log(JSON.stringify(summary()));
process.exit(failed.length > 0 ? 1 : 0);
