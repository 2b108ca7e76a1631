/**
 * Local messages through a typed mailbox, by tinybench. Each message is made by its constructor, sent by address, queued, and
 * handled by an actor that switches on its type; a round trip is an ask of one actor by another. Not measured: what a message
 * causes. `bun bench/mailbox.ts [--json]`; the goal is 5 million a second.
 */
import { Bench } from "tinybench";
import { systemClock } from "#actors/runtime/clock";
import { ActorSystem } from "#actors/runtime/system";
import { Trace } from "#actors/runtime/trace";
import type { RequestId } from "#protocol/ids";
import { ShardWorker, type ShardWorkerMessage } from "#protocol/shard-worker";

/** Messages sent before the receiver runs: fewer than its mailbox takes. */
const BURST = 1000;
const GOAL = 5e6;

interface World {
  burst(): Promise<void>;
  pingPong(): Promise<void>;
}

function world(trace?: Trace): World {
  const system = new ActorSystem("node", systemClock, trace && { trace });
  const cancelled = new Set<RequestId>();
  let done = () => {};
  const sink = system.spawn<ShardWorkerMessage>("sink", ({ message }) => {
    switch (message.type) {
      case "ShardWorker.Cancel":
        cancelled.add(message.request);
        break;
      case "ShardWorker.Unload":
        done();
    }
  });
  const me = system.address("bench");
  const request = "r1" as RequestId;
  let left = 0;
  const player = (name: string) =>
    system.spawn<ShardWorkerMessage>(name, ({ message, from }) => {
      left -= 1;
      if (left > 0) system.send(from, message, system.address(name));
      else done();
    });
  const ping = player("ping");
  const pong = player("pong");
  return {
    burst: () =>
      new Promise((resolve) => {
        done = resolve;
        for (let i = 1; i < BURST; i++) system.send(sink, ShardWorker.Cancel({ request }), me);
        system.send(sink, ShardWorker.Unload({}), me);
      }),
    pingPong: () =>
      new Promise((resolve) => {
        done = resolve;
        left = BURST;
        system.send(ping, ShardWorker.Cancel({ request }), pong);
      }),
  };
}

const plain = world();
const traced = world(new Trace({ nowMs: systemClock.nowMs }));
const bench = new Bench({ time: 1500, warmupTime: 500 });
bench
  .add("one way, in bursts", plain.burst)
  .add("one way, in bursts, traced", traced.burst)
  .add("back and forth between two", plain.pingPong);
await bench.run();

const figures = bench.tasks.map(({ name, result }) => {
  if (result.state !== "completed") throw new Error(`${name} did not complete`);
  const perSecond = (ms: number | undefined) => (BURST / (ms ?? Number.NaN)) * 1000;
  return {
    name,
    medianPerSecond: Math.round(perSecond(result.latency.p50)),
    slowest1Percent: Math.round(perSecond(result.latency.p99)),
  };
});
if (process.argv.includes("--json")) console.log(JSON.stringify({ goal: GOAL, figures }));
else
  for (const { name, medianPerSecond, slowest1Percent } of figures)
    console.log(
      `${name.padEnd(30)} ${(medianPerSecond / 1e6).toFixed(1).padStart(6)} million/s (slowest 1 % of bursts: ${(slowest1Percent / 1e6).toFixed(1)})`,
    );
