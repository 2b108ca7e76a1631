/**
 * A worker's process that computes nothing. A pass whose instance is an address goes on to there; one whose instance is `echo` goes
 * back to where it came from, until it is where it began. `turns` makes it busy from then on, and comes back with the number of its
 * turns so far. A Join has it watch a worker, and tell who asked how that one ended.
 */
import { systemClock } from "#actors/runtime/clock";
import { ActorSystem } from "#actors/runtime/system";
import { CHILD_FD, ChildLink } from "#actors/runtime/transport/child";
import { watchedAnew } from "#actors/runtime/watches";
import type { Address } from "#protocol/ids";
import { problemBody } from "#protocol/problem";
import { ShardWorker, type ShardWorkerMessage } from "#protocol/shard-worker";

const TURN_MS = 10;

const [, , name = "", parent = ""] = process.argv;
const system = new ActorSystem(name, systemClock);
system.connectParent(parent, new ChildLink(CHILD_FD, { ended: () => process.exit(70), stays: true }));
const self = system.address("shard-worker");
/** Where passes came from that went on, by their number. */
const origins = new Map<number, Address>();

/** One turn of its event loop after the other, each of which computes for a while. */
let turns = 0;
function turn(): void {
  turns += 1;
  const endMs = systemClock.nowMs() + TURN_MS;
  while (systemClock.nowMs() < endMs);
  setImmediate(turn);
}

system.spawn<ShardWorkerMessage>("shard-worker", ({ message, from, body }) => {
  if (message.type === "ShardWorker.Join") {
    const [watched = self] = message.group.stages;
    const { instance, epoch } = message.group;
    watchedAnew(system, watched, ({ how, why, lane }) => {
      const problem = problemBody(new Error(`${lane ? "lane " : ""}${how}: ${why}`));
      system.send(message.replyTo, ShardWorker.PassFailed({ instance, epoch, number: 0, problem }), self);
    });
    system.send(message.replyTo, ShardWorker.Unload({}), self);
  }
  if (message.type !== "ShardWorker.Pass") return;
  if (message.instance === "turns") {
    if (turns === 0) turn();
    system.send(from, ShardWorker.Pass({ ...message, number: turns }), self, body);
    return;
  }
  const isEcho = message.instance === "echo";
  const origin = origins.get(message.number);
  origins.delete(message.number);
  if (!isEcho) origins.set(message.number, from);
  const to = isEcho ? (origin ?? from) : (message.instance as Address);
  const sent = system.send(to, ShardWorker.Pass({ ...message, instance: "echo" }), self, body);
  if (!sent) console.error(`${to} refused pass ${message.number}`);
});
