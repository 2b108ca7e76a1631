/**
 * What a hop between the workers of two machines costs: hidden state from one worker's process through its parent, a TLS link on loopback
 * and the other parent to the other worker, each a process of its own, and back; half of it is one hop. `bun bench/relay.ts [--json]`.
 * Not measured: networks, and computing, which keeps the cores from it.
 */
import type { Endpoint } from "#actors/runtime/transport/network";
import type { Address } from "#protocol/ids";
import type { ShardWorkerMessage } from "#protocol/shard-worker";
import { ownPapers, quantile, two } from "./links/two.ts";
import { openMachine, ordered, runWorker, WORKER } from "./relay/machine.ts";

const GOAL_US = 400;
/** Hidden state of one token: 576 wide in float32 (SmolLM2 135M), and 8192 (70B). */
const BODIES = [2304, 32 * 1024];
const WARM = 2000;
const ROUNDS = 10;
const PASSES = 300;

/** The other machine's process: says where it listens, and serves until it is killed. */
async function serve(): Promise<void> {
  const machine = openMachine(await ownPapers(), Bun.main);
  console.log(JSON.stringify(machine.endpoint));
}

async function machines() {
  const { child, said: endpoint, papers, there } = await two<Endpoint>();
  const machine = openMachine(papers, Bun.main);
  await machine.join(there, endpoint);
  return { machine, far: `${there}/${WORKER}` as Address, child };
}

async function main(): Promise<void> {
  const { machine, far, child } = await machines();
  const { system, worker } = machine;
  let told = (_: Uint8Array) => {};
  const me = system.spawn<ShardWorkerMessage>("bench", ({ body }) => told(body ?? new Uint8Array(0)));
  const run = (passes: number, bytes: number) =>
    new Promise<Float64Array>((resolve) => {
      told = (body) => resolve(new Float64Array(new Uint8Array(body).buffer));
      const order = ordered(passes, far);
      system.send(worker, order, me, new Uint8Array(bytes).fill(7));
    });
  const rows = [];
  for (const bytes of BODIES) {
    await run(WARM, bytes);
    const took: number[] = [];
    for (let round = 0; round < ROUNDS; round++) took.push(...(await run(PASSES, bytes)));
    const sorted = new Float64Array(took).sort();
    const [p50, p90, p99] = [0.5, 0.9, 0.99].map((part) => quantile(sorted, part) / 2);
    rows.push({ bytes, hopUs: { p50, p90, p99 } });
  }
  report(rows);
  machine.stop();
  child.kill();
  process.exit(0);
}

function report(rows: readonly { readonly bytes: number; readonly hopUs: object }[]): void {
  if (process.argv.includes("--json")) {
    console.log(JSON.stringify({ goalUs: GOAL_US, hops: rows }));
    return;
  }
  console.log(`one hop from worker to worker (goal: p50 <= ${GOAL_US} us)`);
  for (const { bytes, hopUs } of rows) {
    const shown = Object.entries(hopUs).map(([name, us]) => `${name} ${Math.round(Number(us))} us`);
    console.log(`  ${bytes} bytes: ${shown.join(", ")}`);
  }
}

const [, , role, name = "", parent = ""] = process.argv;
if (role === "worker") runWorker(name, parent);
else await (role === "serve" ? serve() : main());
