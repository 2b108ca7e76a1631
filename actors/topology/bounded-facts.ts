/** Whatever probes read, made to keep the message's limits: what a system says of itself is as little checked as a stranger's word. */
import type { Accelerator, Interface, NodeFacts, ThunderboltPort } from "#protocol/node";

export function boundedFacts(facts: NodeFacts): NodeFacts {
  const { accelerators, interfaces, thunderbolt, busy, diskFreeBytes } = facts;
  const memoryBytes = whole(facts.memoryBytes);
  return {
    ...facts,
    name: text(facts.name, 64),
    version: text(facts.version, 32),
    os: text(facts.os, 64),
    arch: text(facts.arch, 16),
    chip: text(facts.chip, 128),
    cores: Math.min(4096, Math.max(1, whole(facts.cores))),
    memoryBytes,
    freeBytes: Math.min(memoryBytes, whole(facts.freeBytes)),
    ...(diskFreeBytes !== undefined && { diskFreeBytes: whole(diskFreeBytes) }),
    accelerators: accelerators.slice(0, 16).map(boundedAccelerator),
    interfaces: fewest(interfaces, 32).map(boundedInterface),
    ...(thunderbolt && { thunderbolt: thunderbolt.slice(0, 16).map(boundedPort) }),
    ...(busy !== undefined && { busy: share(busy) }),
  };
}

const boundedAccelerator = ({ kind, name, memoryBytes, freeBytes }: Accelerator): Accelerator => ({
  kind,
  name: text(name, 128),
  memoryBytes: whole(memoryBytes),
  ...(freeBytes !== undefined && { freeBytes: whole(freeBytes) }),
});

const boundedInterface = ({ name, medium, speedMbps, addresses }: Interface): Interface => ({
  name: text(name, 32),
  medium,
  ...(speedMbps !== undefined && { speedMbps: whole(speedMbps) }),
  addresses: addresses.slice(0, 16).map((address) => text(address, 64)),
});

const boundedPort = ({
  name,
  domain,
  peerDomain,
  speedMbps,
  rdmaDevice,
}: ThunderboltPort): ThunderboltPort => ({
  name: text(name, 32),
  domain: text(domain, 64),
  ...(peerDomain !== undefined && { peerDomain: text(peerDomain, 64) }),
  ...(speedMbps !== undefined && { speedMbps: whole(speedMbps) }),
  ...(rdmaDevice !== undefined && { rdmaDevice: text(rdmaDevice, 32) }),
});

/** A machine with many containers has more interfaces than anybody asks for: those of hardware first. */
const fewest = (interfaces: readonly Interface[], most: number): readonly Interface[] =>
  interfaces.length <= most
    ? interfaces
    : [...interfaces]
        .sort((a, b) => Number(a.medium === "unknown") - Number(b.medium === "unknown"))
        .slice(0, most);

const text = (given: string, lengthMax: number): string =>
  given
    .replaceAll(/\p{Cc}+/gu, " ")
    .trim()
    .slice(0, lengthMax)
    .toWellFormed();

const whole = (given: number): number =>
  Number.isFinite(given) ? Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, Math.round(given))) : 0;

const share = (given: number): number =>
  Number.isFinite(given) ? Math.round(100 * Math.min(1, Math.max(0, given))) / 100 : 0;
