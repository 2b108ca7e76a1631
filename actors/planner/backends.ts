/**
 * By which backends ranks on given machines can add up their parts, why not by the others, and what jaccl has to be told. Pure: by what
 * the machines say of themselves. jaccl needs a device from every rank to every other (mlx/distributed/jaccl/lib/README.md).
 */
import { type Backend, type BackendWish, MESH_MAX, type RankWay } from "#protocol/collective";
import type { NodeFacts } from "#protocol/node";
import { Problem } from "#protocol/problem";

export interface Member {
  readonly name: string;
  readonly facts: NodeFacts;
}

/** Since then macOS carries RDMA over Thunderbolt (Apple's TN3205). */
const MACOS_MIN = [26, 2] as const;

/** Why these machines, as ranks in this order, cannot add up by that; none: they can. */
export function gapsOf(backend: Backend, members: readonly Member[]): readonly string[] {
  switch (backend) {
    case "ring":
      return [];
    case "nccl":
      return withoutNccl(members);
    case "jaccl":
      return withoutJaccl(members);
  }
}

function withoutNccl(members: readonly Member[]): readonly string[] {
  const without = members.flatMap(({ name, facts }) =>
    facts.accelerators.some(({ kind }) => kind === "cuda") ? [] : [`${name} has no CUDA device`],
  );
  return [...without, "no build of exo has MLX's collectives of CUDA yet"];
}

function withoutJaccl(members: readonly Member[]): readonly string[] {
  const unable = members.flatMap(({ name, facts }) => {
    const why = whyNoRdma(facts);
    return why === undefined ? [] : [`${name} ${why}`];
  });
  if (unable.length > 0) return unable;
  if (members.length > MESH_MAX)
    return [`its mesh joins ${MESH_MAX} machines at most, these are ${members.length}`];
  const missing = pairs(members).flatMap(([one, other]) => {
    const why = whyNoCable(one, other);
    return why === undefined ? [] : [why];
  });
  const [first] = members;
  if (missing.length > 0 || !first || hostOf(first)) return missing;
  return [`${first.name} has no IPv4 address at which the others could meet it`];
}

function whyNoRdma({ os, arch, rdma, collectives = [] }: NodeFacts): string | undefined {
  const [, major, minor = "0"] = /^macOS (\d+)(?:\.(\d+))?/.exec(os) ?? [];
  if (major === undefined || arch !== "arm64") return "is no Mac with Apple silicon";
  const [least, then] = MACOS_MIN;
  if (Number(major) < least || (Number(major) === least && Number(minor) < then))
    return `has macOS ${major}.${minor}: RDMA over Thunderbolt needs ${MACOS_MIN.join(".")}`;
  if (rdma === "none") return "has no RDMA over Thunderbolt, which needs Thunderbolt 5";
  if (rdma === "disabled") return "has RDMA switched off: `rdma_ctl enable` in Recovery switches it on";
  if (!collectives.includes("jaccl")) return "has a build of exo without it, as all are so far";
  return undefined;
}

/** Each pair once, in order. */
const pairs = (members: readonly Member[]): readonly (readonly [Member, Member])[] =>
  members.flatMap((one, at) => members.slice(at + 1).map((other) => [one, other] as const));

interface Cable {
  readonly here: string;
  readonly there: string;
  readonly speedMbps: number | undefined;
}

/** Of several cables between two machines that with RDMA at both ends, the fastest; either end may be the one that sees the other. */
export function cableOf({ facts: a }: Member, { facts: b }: Member): Cable | undefined {
  const cables = cablesOf(a, b).flatMap(([mine, other]): Cable[] => {
    if (mine.rdmaDevice === undefined || other.rdmaDevice === undefined) return [];
    const speeds = [mine.speedMbps, other.speedMbps].filter((speed) => speed !== undefined);
    const speedMbps = speeds.length > 0 ? Math.min(...speeds) : undefined;
    return [{ here: mine.rdmaDevice, there: other.rdmaDevice, speedMbps }];
  });
  return cables.toSorted((one, two) => (two.speedMbps ?? 0) - (one.speedMbps ?? 0))[0];
}

const cablesOf = ({ thunderbolt: here = [] }: NodeFacts, { thunderbolt: there = [] }: NodeFacts) =>
  here.flatMap((mine) =>
    there
      .filter((other) => mine.peerDomain === other.domain || other.peerDomain === mine.domain)
      .map((other) => [mine, other] as const),
  );

function whyNoCable(one: Member, other: Member): string | undefined {
  const between = `${one.name} and ${other.name}`;
  if (cablesOf(one.facts, other.facts).length === 0) return `no Thunderbolt cable joins ${between}`;
  const cable = cableOf(one, other);
  if (!cable) return `the Thunderbolt cable between ${between} ends at a port without RDMA`;
  for (const [{ name, facts }, device] of [
    [one, cable.here],
    [other, cable.there],
  ] as const) {
    const at = device.replace(/^rdma_/, "");
    // The address table of the device has no entry for IPv4 then, and MLX refuses it.
    if (!facts.interfaces.some((each) => each.name === at && each.addresses.some(isIpv4)))
      return `${name}'s ${at}, on the cable between ${between}, has no IPv4 address of its own: take it out of the Thunderbolt bridge and give it one`;
  }
  return undefined;
}

const isIpv4 = (address: string): boolean => /^\d+\.\d+\.\d+\.\d+$/.test(address);

/** What carries few bytes once best reaches all of them: cables join two machines only. */
const MEETING = ["ethernet", "wifi", "unknown", "thunderbolt"] as const;

function hostOf({ facts }: Member): string | undefined {
  const known = MEETING.flatMap((medium) =>
    facts.interfaces.filter((each) => each.medium === medium).flatMap(({ addresses }) => addresses),
  ).filter(isIpv4);
  // Each of a machine's interfaces may have a link-local address of the same net: a way there is found by chance.
  return known.find((address) => !address.startsWith("169.254.")) ?? known[0];
}

/** What each rank is told, in their order; undefined where jaccl cannot join these machines. */
export function jacclOf(members: readonly Member[]): readonly RankWay[] | undefined {
  const [first] = members;
  const host = first && hostOf(first);
  if (!host || members.length < 2 || withoutJaccl(members).length > 0) return undefined;
  return members.map((member, rank) => ({
    backend: "jaccl",
    host,
    // Both ends name their port of the same cable, also where two machines are joined by several.
    devices: members.map((other, to) => {
      if (to === rank) return null;
      return (rank < to ? cableOf(member, other)?.here : cableOf(other, member)?.there) ?? null;
    }),
  }));
}

/** By what ranks on these machines add up, and what there is to say of that. `ways`: of each rank, where MLX does it. */
export interface Picked {
  readonly backend: Backend;
  readonly ways?: readonly RankWay[];
  readonly notes: readonly string[];
}

/** The wish is one that these machines can fulfil, as `requireBackend` found. */
export function pickBackend(wish: BackendWish = "auto", members: readonly Member[]): Picked {
  const ways = wish === "auto" || wish === "jaccl" ? jacclOf(members) : undefined;
  if (ways)
    return { backend: "jaccl", ways, notes: ["sums go by jaccl, unencrypted along the Thunderbolt cables"] };
  const [gap] = wish === "auto" ? withoutJaccl(members) : [];
  // Machines that know nothing of RDMA are not told that they lack it.
  const isNear = gap !== undefined && members.some(({ facts }) => facts.rdma !== "none");
  return { backend: "ring", notes: isNear ? [`sums go over exo's own links, not by jaccl: ${gap}`] : [] };
}

/**
 * Throws Problem `invalid` where that backend can join no two of these machines, or not `all` of them though all are to take part.
 */
export function requireBackend(
  wish: BackendWish | undefined,
  members: readonly Member[],
  { all }: { readonly all: boolean },
): void {
  if (wish === undefined || wish === "auto" || wish === "ring") return;
  const whole = gapsOf(wish, members);
  const isPossible =
    whole.length === 0 || (!all && pairs(members).some((pair) => gapsOf(wish, pair).length === 0));
  if (isPossible && members.length > 1) return;
  const why = members.length < 2 ? "that takes two machines" : whole.join("; ");
  throw new Problem("invalid", `ranks cannot add up by ${wish}: ${why}`, {
    param: "backend",
    remedy: "leave --backend out: auto takes the fastest that all of them can, ring works on any machines",
  });
}

/** A backend is by what ranks add up: who names one wants ranks. Throws Problem `invalid` where another strategy is wanted, too. */
export function strategyFor<Strategy extends string>(
  strategy: Strategy | undefined,
  backend: BackendWish | undefined,
): Strategy | "tensor" | undefined {
  if (backend === undefined || backend === "auto" || strategy === "mixed") return strategy;
  if (strategy === undefined || strategy === "auto" || strategy === "tensor") return "tensor";
  throw new Problem("invalid", `--backend ${backend} is for ranks, and --strategy ${strategy} has none`, {
    param: "backend",
    remedy: "leave --backend out, or ask for --strategy tensor",
  });
}
