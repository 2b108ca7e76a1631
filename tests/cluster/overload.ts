/**
 * Whether anybody is called dead who lives, while the machine has far more to do than it can: bun run overload [--minutes 60]
 * [--nodes 5] [--quota 0.4] [--burners 8]. Real members, each in a network of its own, beside four times as many burners as there are
 * cores, all of one priority. With a quota, members and burners together get so much of one core and no more (cgroups): the overload is
 * theirs alone, on a machine that others use too. Linux with user namespaces; the compiled binary. Prints one line of JSON and ends with 1
 * where somebody was.
 */
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import type { NodeView } from "#protocol/cluster";
import { compiled, freshFolder } from "../cli/exo.ts";
import { type Events, follow, type Told } from "./events.ts";
import { segment } from "./namespaces.ts";
import { members, type Running, started } from "./processes.ts";
import { enterQuotaGroup } from "./quota.ts";

const BURNERS_PER_CORE = 4;
const FORMED_MS = 60_000;
const LOOK_MS = 1000;

interface Counts {
  falseDeaths: number;
  suspects: number;
  stuck: number;
  leaderChanges: number;
}

interface Load {
  readonly minutes: number;
  readonly burners: number;
  /** Cores; undefined leaves them the machine. */
  readonly quota: number | undefined;
}

/** Counts from when the home has formed until the minutes are over. */
async function overload(count: number, { minutes, burners, quota }: Load) {
  using group = quota === undefined ? undefined : enterQuotaGroup(`exo-overload-${process.pid}`);
  using folder = freshFolder();
  await using stack = new AsyncDisposableStack();
  const net = stack.use(await segment(count));
  const names = Array.from({ length: count }, (_, i) => `node${i}`);
  const machines = await members(
    folder.path,
    names,
    names.map((_, i) => net.address(i)),
  );
  const startMs = performance.now();
  const counts: Counts = { falseDeaths: 0, suspects: 0, stuck: 0, leaderChanges: 0 };
  let isCounting = false;
  const running: Running[] = [];
  const lives = (name: string) => running.some((each) => each.name === name && isAlive(each.pid));
  const told = (by: string) => (change: Told) => {
    if (!isCounting) return;
    const what =
      change.type === "leader" ? `leader ${change.leader?.slice(0, 8)}` : `${change.name} ${change.state}`;
    console.error(`${((performance.now() - startMs) / 1000).toFixed(1)} s ${by}: ${what}`);
    counted(counts, change, lives);
  };
  const seen: Events[] = [];
  for (const [i, machine] of machines.entries()) {
    const how = { prefix: net.on(i), command: compiled, args: [], watched: false };
    const member = stack.use(await started(machine, how));
    running.push(member);
    seen.push(stack.use(follow(net.on(i), member.url, told(member.name))));
  }
  await formed(seen, count);
  const seconds = Math.ceil(minutes * 60);
  for (let i = 0; i < burners; i++) stack.use(burner(seconds));
  if (quota !== undefined) group?.bound(quota);
  isCounting = true;
  const [before, beganMs] = [running.map(timesOf), performance.now()];
  while (performance.now() - beganMs < seconds * 1000 && running.every(({ pid }) => isAlive(pid)))
    await Bun.sleep(LOOK_MS);
  isCounting = false;
  const after = running.map(timesOf);
  const passedMs = performance.now() - beganMs;
  const part = (of: "runMs" | "waitMs") =>
    after.reduce((sum, each, i) => sum + each[of] - (before[i]?.[of] ?? 0), 0) / count / passedMs;
  return {
    nodes: count,
    cores: cpus().length,
    burners,
    quota,
    ...group?.throttled(),
    minutes: Number((passedMs / 60_000).toFixed(1)),
    ended: running.filter(({ pid }) => !isAlive(pid)).length,
    ...counts,
    /** Of the time that passed, a node's main thread ran and waited for a core, on average. */
    ran: Number(part("runMs").toFixed(4)),
    waited: Number(part("waitMs").toFixed(4)),
  };
}

function counted(counts: Counts, change: Told, lives: (name: string) => boolean): void {
  if (change.type === "leader") counts.leaderChanges += change.leader === null ? 0 : 1;
  else if (change.state === "dead") counts.falseDeaths += lives(change.name) ? 1 : 0;
  else if (change.state === "suspect") counts.suspects += 1;
  else if (change.state === "stuck") counts.stuck += 1;
}

async function formed(seen: readonly Events[], count: number): Promise<void> {
  const isWhole = (nodes: readonly NodeView[]) =>
    nodes.filter(({ state }) => state === "up" || state === "self").length === count &&
    nodes.filter(({ voter }) => voter).length >= Math.min(3, count);
  const endMs = performance.now() + FORMED_MS;
  while (!seen.every(({ nodes }) => isWhole(nodes))) {
    if (performance.now() > endMs)
      throw new Error(
        `the home did not form: ${JSON.stringify(seen.map(({ nodes }) => nodes.map(({ name, state, voter }) => [name, state, voter])))}`,
      );
    await Bun.sleep(100);
  }
}

/** Ends by itself, also when nobody is left to end it. */
function burner(seconds: number): Disposable {
  const child = Bun.spawn(["timeout", String(seconds + 60), "sh", "-c", "while :; do :; done"]);
  return { [Symbol.dispose]: () => child.kill() };
}

/** A process that has ended but was not waited for is a zombie. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/** Of the main thread, nanoseconds in the file (https://docs.kernel.org/scheduler/sched-stats.html). */
function timesOf({ pid }: Running): { readonly runMs: number; readonly waitMs: number } {
  const [run = 0, wait = 0] = readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ").map(Number);
  return { runMs: run / 1e6, waitMs: wait / 1e6 };
}

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    nodes: { type: "string", default: "5" },
    quota: { type: "string" },
    burners: { type: "string", default: String(cpus().length * BURNERS_PER_CORE) },
  },
});
const result = await overload(Number(values.nodes), {
  minutes: Number(values.minutes),
  burners: Number(values.burners),
  quota: values.quota === undefined ? undefined : Number(values.quota),
});
console.log(JSON.stringify(result));
process.exit(result.falseDeaths + result.ended > 0 ? 1 : 0);
