/**
 * GET /state as tools for the first exo read it: its names for what is known here of machines and links. What that one keeps in
 * the same document of models, requests and downloads is empty: /exo/v1 and /v1 tell it, and prompts are nobody's business.
 */
import type { NodeView } from "#protocol/cluster";
import type { LinkView, Medium, NodeFacts } from "#protocol/node";

type Told = NodeView & { readonly facts: NodeFacts };

export function exoState(nodes: readonly NodeView[], links: readonly LinkView[], nowSeconds: number): object {
  const members = nodes.filter(({ state }) => state !== "unpaired");
  const told = members.filter((node): node is Told => node.facts !== undefined);
  const each = (fact: (node: Told) => object) =>
    Object.fromEntries(told.map((node) => [node.node, fact(node)]));
  return {
    instances: {},
    runners: {},
    downloads: {},
    tasks: {},
    lastSeen: Object.fromEntries(
      members.map(({ node, silentMs = 0 }) => [node, new Date(1000 * nowSeconds - silentMs).toISOString()]),
    ),
    topology: { nodes: members.map(({ node }) => node), connections: connections(members, links) },
    nodeIdentities: each(({ facts: { chip, os, arch }, name }) => ({
      modelId: arch,
      chipId: chip,
      friendlyName: name,
      osVersion: os,
      osBuildVersion: "Unknown",
    })),
    nodeMemory: each(({ facts: { memoryBytes, freeBytes } }) => ({
      ramTotal: { inBytes: memoryBytes },
      ramAvailable: { inBytes: freeBytes },
      swapTotal: { inBytes: 0 },
      swapAvailable: { inBytes: 0 },
    })),
    nodeDisk: each(({ facts: { diskFreeBytes = 0 } }) => ({ available: { inBytes: diskFreeBytes } })),
    nodeSystem: each(({ facts: { busy = 0 } }) => ({ pcpuUsage: busy })),
    nodeNetwork: each(({ facts }) => ({ interfaces: interfacesOf(facts) })),
    nodeThunderbolt: each(({ facts: { thunderbolt = [] } }) => ({
      interfaces: thunderbolt.map(({ rdmaDevice = "", domain, speedMbps }) => ({
        rdmaInterface: rdmaDevice,
        domainUuid: domain,
        linkSpeed: speedMbps === undefined ? "" : `${speedMbps / 1000} Gb/s`,
      })),
    })),
    nodeRdmaCtl: each(({ facts: { rdma } }) => ({ enabled: rdma === "ready" })),
    nodeBackends: each(({ facts }) => backendsOf(facts)),
  };
}

const TYPES: Readonly<Partial<Record<Medium, string>>> = {
  wifi: "wifi",
  ethernet: "ethernet",
  thunderbolt: "thunderbolt",
};

const interfacesOf = ({ interfaces }: NodeFacts) =>
  interfaces.flatMap(({ name, medium, addresses }) =>
    addresses.map((ipAddress) => ({ name, ipAddress, interfaceType: TYPES[medium] ?? "unknown" })),
  );

const backendsOf = ({ accelerators }: NodeFacts): readonly string[] => [
  "MlxCpu",
  ...new Set(accelerators.map(({ kind }) => (kind === "metal" ? "MlxMetal" : "MlxCuda"))),
];

/** By source and sink: an edge over IP, and one over RDMA where both ends are ready. */
function connections(nodes: readonly NodeView[], links: readonly LinkView[]): object {
  const from: Record<string, Record<string, object[]>> = {};
  for (const { from: source, to: sink, rdma } of links) {
    const [here, there] = [source, sink].map((id) => nodes.find(({ node }) => node === id));
    const edges: object[] = [{ sinkMultiaddr: { address: multiaddress(there?.addresses[0] ?? "") } }];
    if (rdma === "ready") edges.push(rdmaEdge(here?.facts, there?.facts));
    from[source] = { ...from[source], [sink]: edges };
  }
  return from;
}

function rdmaEdge(
  { thunderbolt: here = [] }: Partial<NodeFacts> = {},
  there: Partial<NodeFacts> = {},
): object {
  for (const mine of here)
    for (const other of there.thunderbolt ?? [])
      if (mine.peerDomain === other.domain)
        return { sourceRdmaIface: mine.rdmaDevice ?? "", sinkRdmaIface: other.rdmaDevice ?? "" };
  return { sourceRdmaIface: "", sinkRdmaIface: "" };
}

/** `10.0.0.2:52416` and `[fe80::1]:52416` as https://multiformats.io/multiaddr/ writes them. */
function multiaddress(address: string): string {
  const [, six, four, port = "0"] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(address) ?? [];
  const host = six ?? four ?? address;
  return `/${host.includes(":") ? "ip6" : "ip4"}/${host}/tcp/${port}`;
}
