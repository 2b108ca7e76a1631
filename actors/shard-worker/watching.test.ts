import { expect, test } from "bun:test";
import { systemClock } from "#actors/runtime/clock";
import { ActorSystem } from "#actors/runtime/system";
import { telling } from "#actors/runtime/telling";
import type { Transport } from "#actors/runtime/transport/transport";
import type { Generation } from "#protocol/generation";
import type { Address, RequestId } from "#protocol/ids";
import { GenerationReply, ShardWorker, type ShardWorkerMessage } from "#protocol/shard-worker";
import type { PassFailed } from "./member.ts";
import { Watching } from "./watching.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A worker of machine `home`, whose parent's part is played by links to two other machines. */
function worker() {
  const system = new ActorSystem("worker-1", systemClock);
  const self = system.address("shard-worker");
  const said: string[] = [];
  const links: Transport = {
    send({ to, message }) {
      said.push(`${message.type} ${to}`);
      return true;
    },
    onReceive: () => {},
    onClose: () => {},
    close: () => {},
  };
  const lanes: Record<string, Transport> = {};
  for (const node of ["left", "right", "home"]) {
    lanes[node] = { ...links };
    system.connect(node, { ...links }, lanes[node]);
  }
  const failed: string[] = [];
  const cancelled: string[] = [];
  const host = {
    passFailed: ({ epoch, problem, lane }: PassFailed, from: Address) =>
      void failed.push(`${epoch} ${from}${lane ? " lane" : ""}: ${problem.message}`),
  };
  const watching = new Watching({ system, self, parent: "home", host });
  const tell = watching.told(telling(system, self));
  system.spawn<ShardWorkerMessage>(
    "shard-worker",
    watching.over(({ message }) => {
      if (message.type === "ShardWorker.Cancel") cancelled.push(message.request);
    }),
  );
  const hear = (message: ShardWorkerMessage) => system.send(self, message, "home/supervisor" as Address);
  const join = (epoch: number) => watching.joined({ instance: "i", epoch, stages, stage: 2 });
  return { system, lanes, hear, join, tell, failed, cancelled, said };
}

const stages = ["left/worker-a", "right/worker-b", "home/worker-1"] as Address[];
const pass = ShardWorker.Pass({ instance: "i", epoch: 1, number: 0, ops: [], feeds: [], wanted: "last" });
const generate = (id: string, replyTo: string) =>
  ShardWorker.Generate({
    generation: {
      id: id as RequestId,
      model: "m",
      prompt: { type: "text", text: "" },
      sampling: {},
      stop: [],
    } as Generation,
    replyTo: replyTo as Address,
  });

test("a group hears at once which of its stages was lost, and only of its own epoch", async () => {
  const { system, join, failed } = worker();
  join(1);
  join(2);
  system.disconnect("left", "its machine is gone");
  expect({ failed, watches: system.held.watches }).toEqual({
    failed: ["2 left/worker-a: a machine that computes this model was lost: its machine is gone"],
    watches: 1,
  });
});

test("a group hears of a link for tensors that broke, and still of the machine that is lost after it", () => {
  const { system, join, failed, lanes } = worker();
  join(1);
  system.send(stages[0] as Address, pass, system.address("shard-worker"));
  lanes.left?.onClose("it broke");
  system.disconnect("left", "its machine is gone");
  expect({ failed, watches: system.held.watches }).toEqual({
    failed: [
      "1 left/worker-a lane: a link between machines that compute this model was lost: it broke",
      "1 left/worker-a: a machine that computes this model was lost: its machine is gone",
    ],
    watches: 1,
  });
});

test("requests of a machine that is gone are cancelled, those that have ended and others' are not", async () => {
  const { system, hear, tell, cancelled } = worker();
  for (const [id, from] of [
    ["ended", "left"],
    ["open", "left"],
    ["other", "right"],
    ["own", "home"],
  ])
    hear(generate(id ?? "", `${from}/api-gateway`));
  await turn();
  const problem = { kind: "cancelled", message: "" } as const;
  for (const [request, to] of [
    ["ended", "left/api-gateway"],
    ["other", "right/api-gateway"],
  ])
    tell(to as Address, GenerationReply.Failed({ request: request as RequestId, problem }));
  const held = system.held.watches;
  system.disconnect("left");
  system.disconnect("right");
  await turn();
  expect({ cancelled, held, after: system.held.watches }).toEqual({ cancelled: ["open"], held: 1, after: 0 });
});
