import { expect, test } from "bun:test";
import fc from "fast-check";
import type { NodeId } from "#protocol/ids";
import type { NodeFacts } from "#protocol/node";
import type { NodeRecord } from "#protocol/topology";
import { canonical, emptyGraph, type Graph, merge, viewOf, without, withRecord } from "./graph.ts";

const [a, b, c] = ["a", "b", "c"] as [NodeId, NodeId, NodeId];

export const someFacts: NodeFacts = {
  name: "box",
  version: "0.1.0",
  os: "Linux",
  arch: "x64",
  chip: "chip",
  cores: 8,
  memoryBytes: 64e9,
  freeBytes: 32e9,
  accelerators: [],
  interfaces: [],
  rdma: "none",
};

const anyRecord: fc.Arbitrary<NodeRecord> = fc.record({
  version: fc.nat(3),
  facts: fc
    .record({ name: fc.constantFrom("x", "y"), cores: fc.integer({ min: 1, max: 2 }) })
    .map((some) => ({
      ...someFacts,
      ...some,
    })),
  links: fc
    .uniqueArray(fc.constantFrom(a, b, c), { maxLength: 2 })
    .map((list) => list.map((to) => ({ to, medium: "ethernet" as const }))),
});
const anyGraph: fc.Arbitrary<Graph> = fc
  .array(fc.tuple(fc.constantFrom(a, b, c), anyRecord), { maxLength: 6 })
  .map((records) => records.reduce((graph, [node, record]) => withRecord(graph, node, record), emptyGraph));

const json = (graph: Graph): string => canonical(Object.fromEntries(graph));

test("graphs merge in any order, any number of times, to the same graph", () => {
  fc.assert(
    fc.property(anyGraph, anyGraph, anyGraph, (x, y, z) => {
      const together = json(merge(merge(x, y), z));
      expect([
        json(merge(x, merge(y, z))),
        json(merge(merge(z, y), x)),
        json(merge(merge(merge(x, y), z), y)),
      ]).toEqual([together, together, together]);
    }),
  );
});

test("a node's newest record wins, whenever it comes", () => {
  fc.assert(
    fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 8 }), (records) => {
      const graph = records.reduce((sum, record) => withRecord(sum, a, record), emptyGraph);
      expect(graph.get(a)?.version).toBe(Math.max(...records.map(({ version }) => version)));
    }),
  );
});

test("the same graph has the same JSON, and no link leads to a node that is not in it", () => {
  fc.assert(
    fc.property(anyGraph, fc.constantFrom(a, b, c), (graph, gone) => {
      const left = without(graph, gone);
      const view = viewOf(left);
      expect([
        JSON.stringify(viewOf(new Map([...left].reverse()))),
        view.nodes.some(({ node }) => node === gone),
        view.links.some(({ from, to }) => from === gone || to === gone),
      ]).toEqual([JSON.stringify(view), false, false]);
    }),
  );
});

const withPort = (domain: string, peerDomain: string, rdma: NodeFacts["rdma"]): NodeFacts => ({
  ...someFacts,
  rdma,
  thunderbolt: [{ name: "Thunderbolt 1", domain, peerDomain }],
});

test.each([
  [
    "a cable between two that are ready",
    withPort("d1", "d2", "ready"),
    withPort("d2", "d1", "ready"),
    "ready",
  ],
  [
    "a switch that is off at one end",
    withPort("d1", "d2", "ready"),
    withPort("d2", "d1", "disabled"),
    "disabled",
  ],
  ["cables that lead elsewhere", withPort("d1", "d9", "ready"), withPort("d2", "d8", "ready"), "none"],
  ["InfiniBand on both", { ...someFacts, rdma: "ready" }, { ...someFacts, rdma: "ready" }, "ready"],
  ["InfiniBand on one", { ...someFacts, rdma: "ready" }, someFacts, "none"],
] as const)("RDMA between two nodes: %s", (_, here, there, state) => {
  const graph = withRecord(
    withRecord(emptyGraph, a, { version: 1, facts: here, links: [{ to: b, medium: "thunderbolt" }] }),
    b,
    { version: 1, facts: there, links: [] },
  );
  expect(viewOf(graph).links).toEqual([{ from: a, to: b, medium: "thunderbolt", rdma: state }]);
});
