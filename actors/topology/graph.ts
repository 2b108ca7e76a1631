/**
 * What all nodes have and how their links are, as one value. Each node's record comes from itself alone and carries its version,
 * so that any two graphs can be merged in any order, any number of times, with the same result.
 */
import type { NodeId } from "#protocol/ids";
import type { LinkView, NodeFacts, RdmaState } from "#protocol/node";
import type { GraphView, NodeRecord } from "#protocol/topology";

export type Graph = ReadonlyMap<NodeId, NodeRecord>;

export const emptyGraph: Graph = new Map();

/** The graph with `node`'s record, unless a newer one is known. */
export function withRecord(graph: Graph, node: NodeId, record: NodeRecord): Graph {
  const known = graph.get(node);
  if (known && newer(known, record) === known) return graph;
  return new Map(graph).set(node, record);
}

/** Commutative, associative and idempotent. */
export const merge = (a: Graph, b: Graph): Graph =>
  [...b].reduce((graph, [node, record]) => withRecord(graph, node, record), a);

/** A node that is a member no more, or that began anew. */
export function without(graph: Graph, node: NodeId): Graph {
  if (!graph.has(node)) return graph;
  const left = new Map(graph);
  left.delete(node);
  return left;
}

/** Ordered by ids, so that the same graph has the same JSON everywhere. Links lead between nodes that `shows` admits. */
export function viewOf(graph: Graph, shows: (node: NodeId) => boolean = () => true): GraphView {
  const nodes = [...graph].sort(([a], [b]) => (a < b ? -1 : 1));
  const links = nodes.flatMap(([from, record]) =>
    record.links
      .filter(({ to }) => to !== from && graph.has(to) && shows(from) && shows(to))
      .sort((a, b) => (a.to < b.to ? -1 : 1))
      .map(
        (link): LinkView => ({ from, ...link, rdma: rdmaBetween(record.facts, graph.get(link.to)?.facts) }),
      ),
  );
  return { nodes: nodes.map(([node, { version, facts }]) => ({ node, version, facts })), links };
}

/** Two records of one version differ only if their node broke its word; then all agree on the same one of them. */
function newer(a: NodeRecord, b: NodeRecord): NodeRecord {
  if (a.version !== b.version) return a.version > b.version ? a : b;
  return canonical(a) >= canonical(b) ? a : b;
}

/** JSON with the keys of every object in order. */
export const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );

/** Over Thunderbolt only along a cable that both ends see; over InfiniBand wherever both have an active port. */
function rdmaBetween(a: NodeFacts, b: NodeFacts | undefined): RdmaState {
  if (!b || a.rdma === "none" || b.rdma === "none") return "none";
  const ports = [a, b].map(({ thunderbolt = [] }) => thunderbolt);
  const byThunderbolt = ports.some((list) => list.length > 0);
  if (byThunderbolt && !cabled(a, b)) return "none";
  return a.rdma === "ready" && b.rdma === "ready" ? "ready" : "disabled";
}

const cabled = ({ thunderbolt: here = [] }: NodeFacts, { thunderbolt: there = [] }: NodeFacts): boolean =>
  here.some((mine) => there.some((other) => mine.peerDomain === other.domain)) ||
  there.some((other) => here.some((mine) => other.peerDomain === mine.domain));
