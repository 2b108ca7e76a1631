import { expect, test } from "bun:test";
import type { Address, NodeId } from "#protocol/ids";
import "#protocol/shard-worker";
import { DOORS, laneRefusal, refusal, type Say, WORKER_DOORS } from "./access.ts";

const ports = (role: Say) => ({ self: "me" as NodeId, roleOf: () => role });

/** What becomes of one message of another member to an actor of this node. */
const fate = (type: string, to: string, re?: number, role: Say = "full"): string =>
  refusal(
    { to: to as Address, from: "other/x" as Address, message: { type }, ...(re !== undefined && { re }) },
    ports(role),
  ) ?? "in";

test("T28 members reach the actors that the table names, with the messages that it names, and nothing else", () => {
  const doors = Object.entries(DOORS).map(([type, { actor }]) => fate(type, `me/${actor}`));
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
    worker: "ShardWorker.Generate is not for x to say",
    gateway: "ApiGateway.WorkerLost is not for other machines",
    otherActor: "Discovery.Beat is not for supervisor",
    otherNode: "Discovery.Beat is not for discovery",
    list: "Discovery.List is not for other machines",
    inherited: "constructor is not for other machines",
    answer: "in",
    noAnswer: "SupervisorReply.Stopped is no answer",
  });
});

test("T27 T28 workers speak with workers and gateways, each with its own words, and answer who asked", () => {
  const said = (type: string, from: string, to: string, fields: object = {}) =>
    refusal(
      { from: `other/${from}` as Address, to: `me/${to}` as Address, message: { type, ...fields } },
      ports("full"),
    ) ?? "in";
  const name = (role: string) => (role === "worker-" ? "worker-1" : role);
  const doors = Object.entries(WORKER_DOORS).map(([type, { from, to }]) => said(type, name(from), name(to)));
  const generate = { replyTo: "other/api-gateway" };
  const lane = (type: string) =>
    laneRefusal(
      { from: "other/worker-1" as Address, to: "me/worker-1" as Address, message: { type } },
      ports("full"),
    ) ?? "in";
  expect({
    doors: [...new Set(doors)],
    asked: said("ShardWorker.Generate", "api-gateway", "worker-1", generate),
    forAnother: said("ShardWorker.Generate", "api-gateway", "worker-1", { replyTo: "third/api-gateway" }),
    fromWorker: said("ShardWorker.Generate", "worker-1", "worker-2"),
    passByGateway: said("ShardWorker.Pass", "api-gateway", "worker-1"),
    deltaByOther: said("GenerationReply.Delta", "supervisor", "api-gateway"),
    deltaToOther: said("GenerationReply.Delta", "worker-1", "supervisor"),
    inside: said("ShardWorker.Pass", "worker-1", "worker-1/system"),
    load: said("ShardWorker.Load", "supervisor", "worker-1"),
    join: said("ShardWorker.Join", "supervisor", "worker-1"),
    onLane: [lane("ShardWorker.Pass"), lane("ShardWorker.PassFailed"), lane("Discovery.Beat")],
  }).toEqual({
    doors: ["in"],
    asked: "in",
    forAnother: "ShardWorker.Generate names another to answer to",
    fromWorker: "ShardWorker.Generate is not for worker-1 to say",
    passByGateway: "ShardWorker.Pass is not for api-gateway to say",
    deltaByOther: "GenerationReply.Delta is not for supervisor to say",
    deltaToOther: "GenerationReply.Delta is not for supervisor",
    inside: "ShardWorker.Pass is not for worker-1/system",
    load: "ShardWorker.Load is not for other machines",
    join: "ShardWorker.Join is not for other machines",
    onLane: [
      "in",
      "ShardWorker.PassFailed is not for a lane of tensors",
      "Discovery.Beat is not for a lane of tensors",
    ],
  });
});

test("T28 a worker of the home computes and tells of itself, and has no say in who votes, what is agreed or who is let in", () => {
  const doors = Object.entries(DOORS);
  const refusedTo = (role: Say) =>
    doors.flatMap(([type, { actor }]) => (fate(type, `me/${actor}`, undefined, role) === "in" ? [] : [type]));
  const seated = new Set(refusedTo("seated"));
  expect({
    refused: refusedTo("worker"),
    untilItsSeatIsTaken: refusedTo("worker").filter((type) => !seated.has(type)),
    why: fate("Cluster.Change", "me/cluster", undefined, "worker"),
    answer: fate("ClusterReply.Done", "me/cluster", 4, "worker"),
  }).toEqual({
    refused: [
      "Raft.Vote",
      "Raft.Append",
      "Raft.Install",
      "Raft.Stand",
      "Cluster.Propose",
      "Cluster.Change",
      "Stages.Measure",
      "Stages.Tell",
      "Stages.Join",
      "Stages.End",
      "Stages.Alone",
      "Stages.GiveWay",
    ],
    untilItsSeatIsTaken: ["Raft.Vote", "Raft.Append", "Raft.Install", "Raft.Stand"],
    why: "Cluster.Change is not for a worker to send",
    answer: "in",
  });
});
