/** One machine of the bench: a process with its TLS link, its lanes and one worker, which is this program once more. */
import { systemClock } from "#actors/runtime/clock";
import { identityFromPem } from "#actors/runtime/security/identity";
import { ActorSystem } from "#actors/runtime/system";
import { CHILD_FD, ChildLink } from "#actors/runtime/transport/child";
import type { Endpoint, Link } from "#actors/runtime/transport/network";
import { guarded } from "#actors/supervisor/cluster/access";
import { Lanes } from "#actors/supervisor/cluster/lanes";
import { startWorker } from "#actors/supervisor/instance/workers";
import type { Address, NodeId } from "#protocol/ids";
import { ShardWorker, type ShardWorkerMessage } from "#protocol/shard-worker";
import { networkOf, type Papers } from "../links/two.ts";

const DIAL_MS = 10_000;
export const WORKER = "worker-bench";

export interface BenchMachine {
  readonly system: ActorSystem;
  readonly endpoint: Endpoint;
  readonly worker: Address;
  join(node: NodeId, endpoint: Endpoint): Promise<void>;
  stop(): void;
}

export function openMachine(papers: Papers, program: string): BenchMachine {
  const { key, members } = papers;
  const self = identityFromPem(key).node;
  const system = new ActorSystem(self, systemClock);
  const refused = (from: string, why: string) => console.error(`${from}: ${why}`);
  const network = networkOf(papers);
  const [endpoint = { host: "", port: 0 }] = network.endpoints;
  const endpoints = new Map<NodeId, Endpoint>();
  const dial = (node: NodeId, lane: "control" | "data") =>
    network.dial(endpoints.get(node) ?? endpoint, {
      expect: node,
      lane,
      signal: AbortSignal.timeout(DIAL_MS),
    });
  const roleOf = () => "full" as const;
  const lanes = new Lanes({
    self,
    clock: systemClock,
    refused,
    roleOf,
    instances: () => [
      { stages: members.map((node, start) => ({ node, layers: { start, end: start + 1 } })) },
    ],
    dial: (node) => dial(node, "data"),
    measure: (link) => link.close(),
  });
  const joined = (link: Link) => {
    const { node } = link.peer;
    const silent = () => {};
    system.connect(
      node,
      guarded(link, { self, refused, roleOf, said: silent, heard: silent, outOfRole: silent }),
      lanes.open(node),
    );
  };
  network.onLink = (link) => (link.lane === "control" ? joined(link) : lanes.accept(link));
  const child = startWorker(
    { command: [process.execPath, program], env: process.env },
    ["worker", WORKER, self],
    systemClock,
    (why) => console.error(why),
  );
  return {
    system,
    endpoint,
    worker: system.adopt(WORKER, "shard-worker", child.link),
    async join(node, at) {
      endpoints.set(node, at);
      joined(await dial(node, "control"));
    },
    stop: () => child.end(),
  };
}

/** In place of an address to go on to. */
const ECHO = "echo";

const pass = (number: number, instance: string) =>
  ShardWorker.Pass({
    instance,
    epoch: 1,
    number,
    ops: [],
    feeds: [{ sequence: 1, position: 100, count: 1 }],
    wanted: "last",
    hiddenType: "float32",
  });

/** Has a worker send so many passes to another, one after the other. */
export const ordered = (passes: number, to: Address) => pass(passes, to);

/**
 * A worker that sends back what comes. One that is told where to sends a pass there, and the next when it is back, as often as the
 * pass it was told by says; then it tells who asked how long each took, in microseconds as 64-bit floats.
 */
export function runWorker(name: string, parent: string): void {
  const system = new ActorSystem(name, systemClock);
  system.connectParent(parent, new ChildLink(CHILD_FD, { ended: () => process.exit(70), stays: true }));
  const self = system.address("shard-worker");
  let took = new Float64Array(0);
  let [asker, there] = [self, self];
  let body: Uint8Array = new Uint8Array(0);
  let [at, sentMs] = [0, 0];
  const send = () => {
    sentMs = performance.now();
    system.send(there, pass(at, ECHO), self, body);
  };
  system.spawn<ShardWorkerMessage>("shard-worker", ({ message, from, body: came }) => {
    if (message.type !== "ShardWorker.Pass") return;
    if (message.instance !== ECHO) {
      [asker, there, at] = [from, message.instance as Address, 0];
      took = new Float64Array(message.number);
      body = came ?? new Uint8Array(0);
      send();
    } else if (from === there) {
      took[at] = (performance.now() - sentMs) * 1000;
      at += 1;
      if (at < took.length) send();
      else system.send(asker, pass(0, ECHO), self, new Uint8Array(took.buffer));
    } else system.send(from, pass(message.number, ECHO), self, came);
  });
}
