import { expect, test } from "bun:test";
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import type { NodeFacts } from "#protocol/node";
import { nodeView } from "../test/node-view.ts";
import { exoState } from "./exo-state.ts";

const [a, b, c] = ["a", "b", "c"] as [NodeId, NodeId, NodeId];

const facts = (domain: string, peerDomain: string, rdmaDevice: string): NodeFacts => ({
  name: "mac",
  version: "0.1.0",
  os: "macOS 26.2",
  arch: "arm64",
  chip: "Apple M4 Pro",
  cores: 14,
  memoryBytes: 64e9,
  freeBytes: 40e9,
  diskFreeBytes: 1e12,
  accelerators: [{ kind: "metal", name: "Apple M4 Pro", memoryBytes: 64e9 }],
  interfaces: [{ name: "en0", medium: "wifi", addresses: ["10.0.0.2"] }],
  rdma: "ready",
  thunderbolt: [{ name: "Thunderbolt 1", domain, peerDomain, speedMbps: 80_000, rdmaDevice }],
  busy: 0.5,
});

const view = (node: NodeId, more: Partial<NodeView>): NodeView => nodeView(`mac ${node}`, { node, ...more });

test("machines and links in the first exo's words; strangers are left out", () => {
  const nodes = [
    view(a, { state: "self", addresses: ["10.0.0.2:52416"], facts: facts("d1", "d2", "rdma_en2") }),
    view(b, { addresses: ["[fd00::3]:52416"], silentMs: 500, facts: facts("d2", "d1", "rdma_en3") }),
    view(c, { state: "unpaired" }),
  ];
  const links = [{ from: a, to: b, medium: "thunderbolt", rdma: "ready" } as const];
  const state = exoState(nodes, links, 1_700_000_000) as Record<string, Record<string, unknown>>;
  const { topology, lastSeen, nodeMemory, nodeThunderbolt, nodeBackends, tasks } = state;
  expect({
    topology,
    lastSeen,
    memory: nodeMemory?.[a],
    ports: nodeThunderbolt?.[b],
    nodeBackends,
    tasks,
  }).toEqual({
    topology: {
      nodes: [a, b],
      connections: {
        [a]: {
          [b]: [
            { sinkMultiaddr: { address: "/ip6/fd00::3/tcp/52416" } },
            { sourceRdmaIface: "rdma_en2", sinkRdmaIface: "rdma_en3" },
          ],
        },
      },
    },
    lastSeen: { [a]: "2023-11-14T22:13:20.000Z", [b]: "2023-11-14T22:13:19.500Z" },
    memory: {
      ramTotal: { inBytes: 64e9 },
      ramAvailable: { inBytes: 40e9 },
      swapTotal: { inBytes: 0 },
      swapAvailable: { inBytes: 0 },
    },
    ports: { interfaces: [{ rdmaInterface: "rdma_en3", domainUuid: "d2", linkSpeed: "80 Gb/s" }] },
    nodeBackends: { [a]: ["MlxCpu", "MlxMetal"], [b]: ["MlxCpu", "MlxMetal"] },
    tasks: {},
  });
});
