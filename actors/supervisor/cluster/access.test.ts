import { expect, test } from "bun:test";
import type { Address, NodeId } from "#protocol/ids";
import { DOORS, refusal } from "./access.ts";

const ports = { self: "me" as NodeId };

/** What becomes of one message of another member to an actor of this node. */
const fate = (type: string, to: string, re?: number): string =>
  refusal(
    { to: to as Address, from: "other/x" as Address, message: { type }, ...(re !== undefined && { re }) },
    ports,
  ) ?? "in";

test("T28 members reach the actors that the table names, with the messages that it names, and nothing else", () => {
  const doors = Object.entries(DOORS).map(([type, actor]) => fate(type, `me/${actor}`));
  expect({
    doors: [...new Set(doors)],
    supervisor: fate("Supervisor.Stop", "me/supervisor"),
    worker: fate("ShardWorker.Generate", "worker-1/shard-worker"),
    gateway: fate("ApiGateway.WorkerLost", "me/api-gateway"),
    otherActor: fate("Discovery.Beat", "me/supervisor"),
    otherNode: fate("Discovery.Beat", "third/discovery"),
    list: fate("Discovery.List", "me/discovery"),
    inherited: fate("constructor", "me/discovery"),
    answer: fate("ClusterReply.Done", "me/cluster", 4),
    noAnswer: fate("SupervisorReply.Stopped", "me/command", 4),
  }).toEqual({
    doors: ["in"],
    supervisor: "Supervisor.Stop is not for other machines",
    worker: "ShardWorker.Generate is not for other machines",
    gateway: "ApiGateway.WorkerLost is not for other machines",
    otherActor: "Discovery.Beat is not for supervisor",
    otherNode: "Discovery.Beat is not for discovery",
    list: "Discovery.List is not for other machines",
    inherited: "constructor is not for other machines",
    answer: "in",
    noAnswer: "SupervisorReply.Stopped is no answer",
  });
});
