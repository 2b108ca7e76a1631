/** Macs joined by Thunderbolt cables, as their probes tell of them; written after TN3205, not recorded on Macs. */
import type { NodeFacts, ThunderboltPort } from "#protocol/node";

/** Machines by their place. */
export type Cable = readonly [number, number];

export const TWO: readonly Cable[] = [[0, 1]];
export const THREE: readonly Cable[] = [...TWO, [1, 2], [0, 2]];
export const FOUR: readonly Cable[] = [...THREE, [3, 0], [3, 1], [2, 3]];

/** Macs with one port for each of their cables, in the order of these: en2 and up. */
export function macs(names: readonly string[], cables: readonly Cable[]) {
  return names.map((name, at) => ({ name, facts: factsOf(names, at, cables) }));
}

function factsOf(names: readonly string[], at: number, cables: readonly Cable[]): NodeFacts {
  const own = cables.flatMap((ends, cable) => (ends.includes(at) ? [{ ends, cable }] : []));
  const name = names[at] ?? "";
  const thunderbolt = own.map(({ ends, cable }, port): ThunderboltPort => {
    const domain = `${name}-${port}`;
    const peer = ends[0] === at ? ends[1] : ends[0];
    const before = cables.slice(0, cable).filter((each) => each.includes(peer)).length;
    const peerDomain = `${names[peer]}-${before}`;
    return { name: domain, domain, peerDomain, speedMbps: 80_000, rdmaDevice: `rdma_en${port + 2}` };
  });
  const interfaces: NodeFacts["interfaces"] = [
    { name: "en0", medium: "ethernet", addresses: ["fe80::1", `10.0.0.${at + 1}`] },
    ...own.map((_, port) => ({
      name: `en${port + 2}`,
      medium: "thunderbolt" as const,
      addresses: [`169.254.${at}.${port + 1}`],
    })),
  ];
  return {
    ...{ name, version: "1", os: "macOS 26.2", arch: "arm64", chip: "Apple M3 Ultra", cores: 28 },
    ...{ memoryBytes: 96e9, freeBytes: 80e9, interfaces, rdma: "ready", thunderbolt, collectives: ["jaccl"] },
    accelerators: [{ kind: "metal", name: "Apple M3 Ultra", memoryBytes: 96e9 }],
  };
}
