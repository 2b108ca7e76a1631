/** The home as topology and membership show it, made ready for planning: who may take part, and who not and why. */
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import type { LinkView, Medium, NodeFacts } from "#protocol/node";
import { cableOf, gapsOf, type Member } from "./backends.ts";
import type { Home, Machine, Speeds, Way } from "./home.ts";
import { assumedSpeeds } from "./speeds.ts";

export interface Known {
  readonly nodes: readonly NodeView[];
  readonly links: readonly LinkView[];
}

export interface LeftOut {
  readonly node: NodeId;
  readonly name: string;
  readonly because: "notPaired" | "notConnected" | "excluded" | "drained" | "factsUnknown" | "notNamed";
}

export interface HomeOptions {
  /** Names or ids of those that alone may take part; absent: all. */
  readonly only?: readonly string[];
  /** How fast each machine is; absent: what its facts make likely. */
  readonly speedsOf?: (node: NodeId, facts: NodeFacts) => Speeds;
}

export function homeOf(
  { nodes, links }: Known,
  { only, speedsOf = (_, facts) => assumedSpeeds(facts) }: HomeOptions = {},
): { readonly home: Home; readonly leftOut: readonly LeftOut[] } {
  const leftOut: LeftOut[] = [];
  const machines: Machine[] = [];
  for (const view of nodes) {
    const { node, name, facts } = view;
    const because = reason(view, only);
    if (because !== undefined || !facts) leftOut.push({ node, name, because: because ?? "factsUnknown" });
    else machines.push(machineOf(view, facts, speedsOf(node, facts)));
  }
  const members = new Map(
    nodes.flatMap(({ node, name, facts }) => (facts ? [[node, { name, facts }] as const] : [])),
  );
  const ways = machines.map((from) =>
    machines.map((to) => {
      const link = links.find((each) => each.from === from.node && each.to === to.node);
      return wayOf(link, directOf(members.get(from.node), members.get(to.node)));
    }),
  );
  return { home: { machines, ways }, leftOut };
}

function reason(view: NodeView, only: readonly string[] | undefined): LeftOut["because"] | undefined {
  const { node, name, state, excluded, drained } = view;
  if (state === "unpaired") return "notPaired";
  if (only && !only.some((each) => each === name || each === node)) return "notNamed";
  if (excluded) return "excluded";
  if (drained) return "drained";
  return state === "self" || state === "up" ? undefined : "notConnected";
}

/** What a GPU that shares the machine's memory may take of it, as macOS has it. */
const UNIFIED_SHARE = 0.75;

function machineOf({ node, name }: NodeView, facts: NodeFacts, speeds: Speeds): Machine {
  const [accelerator] = facts.accelerators;
  const freeBytes =
    accelerator?.kind === "cuda"
      ? (accelerator.freeBytes ?? accelerator.memoryBytes)
      : accelerator
        ? Math.min(facts.freeBytes, facts.memoryBytes * UNIFIED_SHARE)
        : facts.freeBytes;
  const activationBytes = accelerator ? 2 : 4;
  return { node, name, freeBytes, activationBytes, speeds };
}

/** Both ends' own work for one message, beside what a round trip of small messages shows. */
const MESSAGE_MS = 0.1;

/** Round trip in ms and bytes per second where nothing was measured yet: cautious. */
const UNMEASURED: Readonly<Record<Medium, readonly [number, number]>> = {
  loopback: [0.2, 1e9],
  thunderbolt: [0.5, 1e9],
  infiniband: [0.1, 1e9],
  ethernet: [1, 100e6],
  wifi: [8, 10e6],
  tunnel: [40, 2e6],
  unknown: [10, 5e6],
};

/**
 * A sum of two ranks by RDMA over Thunderbolt takes less than 50 us where others measured it, 300 us by TCP (models.md 8); that of a link
 * whose speed is not told is Thunderbolt 5's 80 Gbit/s. Of both half is counted on: not measured here, nor on any Mac of ours.
 */
const DIRECT_MS = 0.05;
const [DIRECT_MBPS, DIRECT_SHARE] = [80_000, 0.5];

function directOf(from: Member | undefined, to: Member | undefined): Way["direct"] {
  if (!from || !to || from === to || gapsOf("jaccl", [from, to]).length > 0) return undefined;
  const mbps = cableOf(from, to)?.speedMbps ?? DIRECT_MBPS;
  return { latencyMs: DIRECT_MS, bytesPerSecond: (DIRECT_SHARE * mbps * 1e6) / 8 };
}

function wayOf(link: LinkView | undefined, direct: Way["direct"]): Way | undefined {
  if (!link) return undefined;
  const [roundTripMs, rate] = UNMEASURED[link.medium];
  return {
    latencyMs: (link.latencyMs ?? roundTripMs) / 2 + MESSAGE_MS,
    bytesPerSecond: Math.max(1, link.bytesPerSecond ?? rate),
    measured: link.latencyMs !== undefined && link.bytesPerSecond !== undefined,
    ...(direct && { direct }),
  };
}
