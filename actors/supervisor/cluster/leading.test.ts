import { expect, test } from "bun:test";
import { systemClock } from "#actors/runtime/clock";
import { STEP_MS } from "#actors/runtime/security/steps";
import type { ActorSystem } from "#actors/runtime/system";
import { Cluster, ClusterReply, type MemberChange } from "#protocol/cluster";
import type { Address, NodeId } from "#protocol/ids";
import { certificateFrom, led } from "./leading.ts";
import type { Replica } from "./replica.ts";

const node = "a".repeat(52) as NodeId;

test("who asks for what may need a step of cryptography waits longer than a step may take", async () => {
  const waits: (readonly [string, boolean])[] = [];
  const ask = async (_: Address, message: { readonly type: string }, __: Address, ms: number) => {
    waits.push([message.type, ms > STEP_MS]);
    return message.type === "Cluster.Certify"
      ? ClusterReply.Certificate({ pem: "pem" })
      : ClusterReply.Done({ epoch: { term: 1, index: 1 } });
  };
  const self = `${node}/cluster` as Address;
  const system = { clock: systemClock, ask, address: () => self } as unknown as ActorSystem;
  const replica = () => ({ leads: false, raft: { leader: node } }) as unknown as Replica;
  const votes = () => ({ self: node, voters: [node], seen: [] });
  const make = () => Promise.reject(new Error("another leads"));
  const change = (each: MemberChange) =>
    led({ system, self, replica, reaches: () => true, votes, make }, Cluster.Change({ change: each }));
  await certificateFrom(system, node);
  await change({ type: "rotate" });
  await change({ type: "forget", node });
  await change({ type: "label", node, labels: {} });
  expect(waits).toEqual([
    ["Cluster.Certify", true],
    ["Cluster.Change", true],
    ["Cluster.Change", true],
    ["Cluster.Change", false],
  ]);
});
