/** By what ranks add up, over homes of Macs. */
import { expect, test } from "bun:test";
import {
  gapsOf,
  jacclOf,
  type Member,
  pickBackend,
  requireBackend,
  strategyFor,
} from "#actors/planner/backends";
import { collectiveMs } from "#actors/planner/cost";
import { homeOf } from "#actors/planner/home-of";
import type { NodeId } from "#protocol/ids";
import type { NodeFacts, ThunderboltPort } from "#protocol/node";
import { Problem } from "#protocol/problem";
import { type Cable, FOUR, macs, THREE, TWO } from "./macs.ts";

const devicesOf = (members: readonly Member[]) => jacclOf(members)?.map(({ devices }) => devices);

function why(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error instanceof Problem ? [error.message, error.param] : error;
  }
}

const changed = (members: readonly Member[], at: number, facts: Partial<NodeFacts>): Member[] =>
  members.map((member, each) => (each === at ? { ...member, facts: { ...member.facts, ...facts } } : member));

test("two, three and four Macs that are joined each with each have a device from every rank to every other", () => {
  const all = ["ada", "bob", "cleo", "dan"];
  const homes = [TWO, THREE, FOUR].map((cables, at) => macs(all.slice(0, at + 2), cables));
  expect(homes.map(devicesOf)).toEqual([
    [
      [null, "rdma_en2"],
      ["rdma_en2", null],
    ],
    [
      [null, "rdma_en2", "rdma_en3"],
      ["rdma_en2", null, "rdma_en3"],
      ["rdma_en3", "rdma_en2", null],
    ],
    [
      [null, "rdma_en2", "rdma_en3", "rdma_en4"],
      ["rdma_en2", null, "rdma_en3", "rdma_en4"],
      ["rdma_en3", "rdma_en2", null, "rdma_en4"],
      ["rdma_en2", "rdma_en3", "rdma_en4", null],
    ],
  ]);
});

test("ranks meet at an address of the first that all of them reach, before one of a cable", () => {
  const home = macs(["ada", "bob"], TWO);
  const without = changed(home, 0, { interfaces: home[0]?.facts.interfaces.slice(1) ?? [] });
  expect([home, without].map((each) => jacclOf(each)?.map(({ host }) => host))).toEqual([
    ["10.0.0.1", "10.0.0.1"],
    ["169.254.0.1", "169.254.0.1"],
  ]);
});

test("of two cables between two Macs both ends name their port of the same one, the faster", () => {
  const [ada, bob] = macs(["ada", "bob"], [...TWO, ...TWO]) as [Member, Member];
  const slower = (ports: readonly ThunderboltPort[] = []) =>
    ports.map((port, at) => (at === 0 ? { ...port, speedMbps: 40_000 } : port));
  const home = [
    { ...ada, facts: { ...ada.facts, thunderbolt: slower(ada.facts.thunderbolt) } },
    // Its ports are listed the other way round, and only ada's see what they are joined to.
    {
      ...bob,
      facts: {
        ...bob.facts,
        thunderbolt: bob.facts.thunderbolt?.map(({ peerDomain: _, ...port }) => port).reverse() ?? [],
      },
    },
  ];
  expect(devicesOf(home)).toEqual([
    [null, "rdma_en3"],
    ["rdma_en3", null],
  ]);
});

test("what is missing is named: the pair, the port, the machine", () => {
  const three = macs(["ada", "bob", "cleo"], THREE);
  const two = three.slice(0, 2);
  const bobsPorts = three[1]?.facts.thunderbolt ?? [];
  const reasons = [
    macs(["ada", "bob", "cleo"], THREE.slice(0, 2)),
    macs(["ada", "bob", "cleo", "dan"], [...THREE, [0, 3]]),
    changed(two, 1, { thunderbolt: bobsPorts.map(({ rdmaDevice: _, ...port }) => port) }),
    changed(two, 1, { interfaces: [{ name: "bridge0", medium: "thunderbolt", addresses: ["169.254.9.9"] }] }),
    changed(two, 1, { os: "macOS 26.1" }),
    changed(two, 0, { os: "macOS 15", rdma: "none" }),
    changed(two, 1, { rdma: "disabled" }),
    changed(two, 1, { rdma: "none" }),
    changed(two, 1, { collectives: [] }),
    changed(two, 0, { os: "Debian GNU/Linux 12", arch: "x64" }),
    macs(
      Array.from({ length: 9 }, (_, at) => `m${at}`),
      Array.from({ length: 9 }, (_, a) => Array.from({ length: a }, (__, b): Cable => [a, b])).flat(),
    ),
  ].map((home) => [gapsOf("jaccl", home).join("; "), jacclOf(home)]);
  expect(reasons).toEqual(
    [
      "no Thunderbolt cable joins ada and cleo",
      "no Thunderbolt cable joins bob and dan; no Thunderbolt cable joins cleo and dan",
      "the Thunderbolt cable between ada and bob ends at a port without RDMA",
      "bob's en2, on the cable between ada and bob, has no IPv4 address of its own: take it out of the Thunderbolt bridge and give it one",
      "bob has macOS 26.1: RDMA over Thunderbolt needs 26.2",
      "ada has macOS 15.0: RDMA over Thunderbolt needs 26.2",
      "bob has RDMA switched off: `rdma_ctl enable` in Recovery switches it on",
      "bob has no RDMA over Thunderbolt, which needs Thunderbolt 5",
      "bob has a build of exo without it, as all are so far",
      "ada is no Mac with Apple silicon",
      "its mesh joins 8 machines at most, these are 9",
    ].map((reason) => [reason, undefined]),
  );
});

test("auto takes jaccl where all can, and says why not where only a little is missing", () => {
  const home = macs(["ada", "bob", "cleo"], THREE);
  const boxes = home.map(
    (_, at) => changed(home, at, { os: "Debian", arch: "x64", rdma: "none" })[at] ?? home,
  );
  const picked = [
    pickBackend(undefined, home),
    pickBackend("jaccl", home),
    pickBackend("ring", home),
    pickBackend("auto", macs(["ada", "bob", "cleo"], TWO)),
    pickBackend("auto", boxes as Member[]),
  ];
  const unencrypted = "sums go by jaccl, unencrypted along the Thunderbolt cables";
  expect(picked.map(({ backend, notes, ways }) => [backend, notes, ways?.length])).toEqual([
    ["jaccl", [unencrypted], 3],
    ["jaccl", [unencrypted], 3],
    ["ring", [], undefined],
    [
      "ring",
      ["sums go over exo's own links, not by jaccl: no Thunderbolt cable joins ada and cleo"],
      undefined,
    ],
    ["ring", [], undefined],
  ]);
});

test("a backend that the machines cannot have is refused with the reason, one that some of them can is not", () => {
  const home = macs(["ada", "bob", "cleo"], TWO);
  const [all, some] = [{ all: true }, { all: false }];
  const asked = [
    () => requireBackend("jaccl", home, all),
    () => requireBackend("jaccl", home, some),
    () => requireBackend("jaccl", home.slice(1), some),
    () => requireBackend("jaccl", home.slice(0, 1), some),
    () => requireBackend("nccl", home, some),
    () => requireBackend("auto", home, all),
    () => requireBackend("ring", home.slice(0, 1), all),
  ];
  expect(asked.map(why)).toEqual([
    [
      "ranks cannot add up by jaccl: no Thunderbolt cable joins ada and cleo; no Thunderbolt cable joins bob and cleo",
      "backend",
    ],
    undefined,
    ["ranks cannot add up by jaccl: no Thunderbolt cable joins bob and cleo", "backend"],
    ["ranks cannot add up by jaccl: that takes two machines", "backend"],
    [
      "ranks cannot add up by nccl: ada has no CUDA device; bob has no CUDA device; cleo has no CUDA device; no build of exo has MLX's collectives of CUDA yet",
      "backend",
    ],
    undefined,
    undefined,
  ]);
});

test("who names a backend wants ranks, and nothing else", () => {
  const asked = [
    () => strategyFor(undefined, "jaccl"),
    () => strategyFor("auto", "ring"),
    () => strategyFor("pipeline", "auto"),
    () => strategyFor(undefined, undefined),
    () => strategyFor("pipeline", "jaccl"),
  ];
  expect(asked.map(why)).toEqual([
    "tensor",
    "tensor",
    "pipeline",
    undefined,
    ["--backend jaccl is for ranks, and --strategy pipeline has none", "backend"],
  ]);
});

test("a plan counts on RDMA where it joins all ranks and is not refused, and has none of jaccl without", () => {
  const names = ["ada", "bob", "cleo"];
  const decode = (cables: readonly Cable[], sums?: "ring" | "jaccl") => {
    const nodes = macs(names, cables).map(({ name, facts }) => ({
      ...{ node: name as NodeId, name, facts, state: "up" as const, leader: false, voter: true },
      ...{ drained: false, excluded: false, labels: {}, addresses: [] },
    }));
    const links = nodes.flatMap(({ node: from }) =>
      nodes.flatMap(({ node: to }) =>
        from === to
          ? []
          : [{ from, to, medium: "ethernet", rdma: "none", latencyMs: 0.6, bytesPerSecond: 1e9 } as const],
      ),
    );
    const { home } = homeOf({ nodes, links });
    return collectiveMs({ ...home, ...(sums && { sums }) }, [0, 1, 2], 1000);
  };
  const times = [
    decode(THREE),
    decode(THREE, "jaccl"),
    decode(THREE, "ring"),
    decode(TWO),
    decode(TWO, "jaccl"),
  ];
  expect(times.map((ms) => Number(ms.toPrecision(3)))).toEqual([
    0.0508,
    0.0508,
    0.404,
    0.404,
    Number.POSITIVE_INFINITY,
  ]);
});
