/** Two minutes of bad weather over replicated logs, then ten seconds to agree. */
import type { NodeId } from "#protocol/ids";
import { RaftWorld } from "./raft-world.ts";
import type { Storm } from "./storm.ts";

const BAD_SECONDS = 120;
const HEAL_MS = 10_000;
const STEP_MS = 50;

export async function raftStorm(seed: number, size: number): Promise<Storm> {
  const world = new RaftWorld(seed, size);
  for (let second = 0; second < BAD_SECONDS && world.violations.length === 0; second++)
    await badSecond(world);
  Object.assign(world.faults, { loss: 0, double: 0, delayMs: 5, late: 0, crash: 0 });
  world.cut.clear();
  world.startAll();
  await world.time.pass(HEAL_MS / 2);
  world.startAll();
  world.propose(1);
  await world.time.pass(HEAL_MS / 2);
  world.check();
  world.checkHealed();
  const { violations, trace, time, confirmed } = world;
  return { seed, violations, digest: trace.digest, virtualMs: time.nowMs, did: confirmed.length };
}

async function badSecond(world: RaftWorld): Promise<void> {
  const often = (part: number) => world.random() < part;
  turn(world, often);
  if (often(0.2)) partition(world);
  if (often(0.25)) world.cut.clear();
  if (often(0.1)) world.kill(anyOf(world));
  if (often(0.1)) world.nodes.get(anyOf(world))?.resign();
  if (often(0.5)) world.startAll();
  for (let at = 0; at < 1000; at += STEP_MS) {
    if (often(0.3)) world.propose(often(0.1) ? 40 : 1);
    await world.time.pass(STEP_MS);
    world.check();
  }
}

/** The weather turns. */
function turn({ random, faults }: RaftWorld, often: (part: number) => boolean): void {
  const calm = often(0.3);
  faults.loss = calm ? 0 : random() * 0.3;
  faults.double = often(0.5) ? random() * 0.5 : 0;
  faults.delayMs = calm ? 5 : 5 + random() * 200;
  faults.late = often(0.4) ? random() * 0.1 : 0;
  faults.crash = often(0.5) ? random() * 0.05 : 0;
}

const anyOf = ({ names, random }: RaftWorld): NodeId => names[Math.floor(random() * names.length)] as NodeId;

/** Some on one side, the others on the other; one way only, now and then. */
function partition({ names, random, cut }: RaftWorld): void {
  const side = new Set(names.filter(() => random() < 0.4));
  const oneWay = random() < 0.3;
  for (const from of names)
    for (const to of names) {
      const crosses = side.has(from) && !side.has(to);
      if (crosses) cut.add(`${from}>${to}`);
      if (crosses && !oneWay) cut.add(`${to}>${from}`);
    }
}
