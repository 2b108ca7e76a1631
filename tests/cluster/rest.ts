/**
 * What a member costs while nothing happens: bun run rest [--nodes 3] [--wait 180] [--seconds 60] [--threads]. Real members, each in a
 * network of its own; Linux with user namespaces; the compiled binary. Prints one line of JSON, of the node that takes most.
 * With --pairing: the megabytes of two machines on this one before, right after, soon after and two minutes after they pair.
 */
import { readdirSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { compiled, freshFolder } from "../cli/exo.ts";
import { segment } from "./namespaces.ts";
import { pairedMemory } from "./paired-memory.ts";
import { members, type Running, started } from "./processes.ts";

interface Cost {
  /** Of one core, in percent: all threads together. */
  readonly cpuPercent: number;
  readonly residentMB: number;
  readonly sentBytesPerSecond: number;
  readonly receivedBytesPerSecond: number;
  /** By the names of threads, where asked for. */
  readonly threads: Readonly<Record<string, number>>;
}

async function atRest(count: number, waitSeconds: number, seconds: number): Promise<readonly Cost[]> {
  using folder = freshFolder();
  await using stack = new AsyncDisposableStack();
  const net = stack.use(await segment(count));
  const names = Array.from({ length: count }, (_, i) => `node${i}`);
  const addresses = names.map((_, i) => net.address(i));
  const machines = await members(folder.path, names, addresses);
  const running: Running[] = [];
  for (const [i, machine] of machines.entries()) {
    const how = { prefix: net.on(i), command: compiled, args: [], watched: false };
    running.push(stack.use(await started(machine, how)));
  }
  await Bun.sleep(waitSeconds * 1000);
  const look = () =>
    Promise.all(
      running.map(async ({ pid }, i) => ({
        threads: threadTimes(pid),
        bytes: await net.bytes(i),
        atMs: performance.now(),
      })),
    );
  const before = await look();
  await Bun.sleep(seconds * 1000);
  const after = await look();
  return running.map(({ pid }, i) => {
    const [a, b] = [before[i], after[i]];
    if (!a || !b) throw new Error("every node was looked at twice");
    const ms = b.atMs - a.atMs;
    const threads: Record<string, number> = {};
    for (const [id, { name, runMs }] of b.threads) {
      const percent = (100 * (runMs - (a.threads.get(id)?.runMs ?? 0))) / ms;
      threads[name] = rounded((threads[name] ?? 0) + percent);
    }
    return {
      cpuPercent: rounded(Object.values(threads).reduce((sum, each) => sum + each, 0)),
      residentMB: residentMB(pid),
      sentBytesPerSecond: Math.round((1000 * (b.bytes.sent - a.bytes.sent)) / ms),
      receivedBytesPerSecond: Math.round((1000 * (b.bytes.received - a.bytes.received)) / ms),
      threads,
    };
  });
}

/** Milliseconds that each thread ran (https://docs.kernel.org/scheduler/sched-stats.html). */
function threadTimes(pid: number): ReadonlyMap<string, { readonly name: string; readonly runMs: number }> {
  const of = (thread: string, file: string) => readFileSync(`/proc/${pid}/task/${thread}/${file}`, "utf8");
  return new Map(
    readdirSync(`/proc/${pid}/task`).map((thread) => {
      const [run] = of(thread, "schedstat").split(" ");
      return [thread, { name: of(thread, "comm").trim(), runMs: Number(run) / 1e6 }];
    }),
  );
}

function residentMB(pid: number): number {
  const [, kB] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Math.round((Number(kB) * 1024) / 1e5) / 10;
}

const rounded = (percent: number): number => Number(percent.toFixed(3));

const { values } = parseArgs({
  options: {
    nodes: { type: "string", default: "3" },
    wait: { type: "string", default: "180" },
    seconds: { type: "string", default: "60" },
    threads: { type: "boolean", default: false },
    pairing: { type: "boolean", default: false },
  },
});
if (values.pairing) {
  const paired = await pairedMemory(residentMB);
  console.log(JSON.stringify(paired));
  process.exit(Object.values(paired).some((each) => each > 90) ? 1 : 0);
}
const costs = await atRest(Number(values.nodes), Number(values.wait), Number(values.seconds));
if (values.threads) for (const cost of costs) console.error(JSON.stringify(cost));
const most = (what: Exclude<keyof Cost, "threads">) => Math.max(...costs.map((cost) => cost[what]));
const result = {
  nodes: costs.length,
  cpuPercent: most("cpuPercent"),
  residentMB: most("residentMB"),
  sentBytesPerSecond: most("sentBytesPerSecond"),
  receivedBytesPerSecond: most("receivedBytesPerSecond"),
};
console.log(JSON.stringify(result));
process.exit(result.cpuPercent > 0.5 || result.residentMB > 90 ? 1 : 0);
