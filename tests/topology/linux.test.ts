/** Recorded as a laptop's kernel writes them: Wi-Fi, a dock's Ethernet under a bridge, Thunderbolt to a neighbour, a VPN, containers. */
import { expect, test } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import fc from "fast-check";
import type { Machine } from "#actors/topology/probes/machine";
import { parseNvidia } from "#actors/topology/probes/nvidia";
import { Sensors } from "#actors/topology/sensors";
import { NodeFacts } from "#protocol/node";
import { VirtualTime } from "../sim/time.ts";

const net = "/sys/class/net";
const zone = "/sys/class/thermal/thermal_zone0";
const laptop: Readonly<Record<string, string>> = {
  "/proc/stat": "cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3 4\n",
  "/proc/cpuinfo": [0, 1, 2, 3]
    .map(
      (n) =>
        `processor\t: ${n}\nmodel name\t: Intel(R) Core(TM) i7-1260P\nphysical id\t: 0\ncore id\t\t: ${n >> 1}\n`,
    )
    .join("\n"),
  "/etc/os-release": 'NAME="Fedora Linux"\nPRETTY_NAME="Fedora Linux 42 (Workstation)"\n',
  [`${net}/wlp1s0/type`]: "1\n",
  [`${net}/wlp1s0/device/uevent`]: "DRIVER=iwlwifi\n",
  [`${net}/wlp1s0/phy80211/index`]: "0\n",
  [`${net}/enp3s0/type`]: "1\n",
  [`${net}/enp3s0/device/uevent`]: "DRIVER=r8169\n",
  [`${net}/enp3s0/speed`]: "2500\n",
  [`${net}/br0/type`]: "1\n",
  [`${net}/br0/speed`]: "2500\n",
  [`${net}/br0/lower_enp3s0/type`]: "1\n",
  [`${net}/thunderbolt0/type`]: "1\n",
  [`${net}/thunderbolt0/device/uevent`]: "DRIVER=thunderbolt-net\n",
  [`${net}/thunderbolt0/speed`]: "20000\n",
  [`${net}/wg0/type`]: "65534\n",
  [`${net}/veth12/type`]: "1\n",
  [`${net}/veth12/speed`]: "10000\n",
  "/sys/class/power_supply/AC/online": "0\n",
  "/sys/class/power_supply/BAT0/status": "Discharging\n",
  "/sys/class/power_supply/mouse/scope": "Device\n",
  "/sys/class/power_supply/mouse/online": "1\n",
  [`${zone}/temp`]: "97000\n",
  [`${zone}/trip_point_0_type`]: "passive\n",
  [`${zone}/trip_point_0_temp`]: "95000\n",
  [`${zone}/trip_point_1_type`]: "critical\n",
  [`${zone}/trip_point_1_temp`]: "105000\n",
  "/sys/class/infiniband/mlx5_0/ports/1/state": "4: ACTIVE\n",
};
/** `nvidia-smi --query-gpu=name,memory.total,memory.free --format=csv,noheader,nounits` of two cards. */
const cards = "NVIDIA GeForce RTX 4090, 24564, 23870\nNVIDIA H200, 143771, [N/A]\n";

const names = ["wlp1s0", "br0", "thunderbolt0", "wg0", "veth12"];

function machineOf(
  files: Readonly<Record<string, string>>,
  commands: Readonly<Record<string, string>>,
): Machine {
  return {
    platform: "linux",
    arch: "x64",
    release: "6.18.0",
    read: (path) => files[path],
    list: (path) => [
      ...new Set(
        Object.keys(files).flatMap((each) =>
          each.startsWith(`${path}/`) ? (each.slice(path.length + 1).split("/")[0] ?? []) : [],
        ),
      ),
    ],
    run: async (command) => commands[command],
    addresses: () => [
      { interface: "lo", address: "127.0.0.1", netmask: "255.0.0.0", internal: true },
      ...names.map((name, i) => ({
        interface: name,
        address: `10.0.${i}.2`,
        netmask: "255.255.255.0",
        internal: false,
      })),
    ],
    processors: () => ({ model: "a processor", count: 4, time: { busy: 0, total: 0 } }),
    memoryBytes: () => 32e9,
    freeBytes: () => 20e9,
    diskFreeBytes: async (folder) =>
      folder === "/home" ? 5e11 : Promise.reject(new Error("no such folder")),
  };
}

async function factsOf(machine: Machine, later: (time: VirtualTime) => Promise<void> = async () => {}) {
  const time = new VirtualTime();
  const sensors = new Sensors({
    clock: time.clock(() => 0),
    machine,
    name: "laptop",
    version: "0.1.0",
    modelsFolder: "/home/me/models",
    changed: () => {},
  });
  sensors.start();
  await time.pass(10);
  await later(time);
  sensors.stop();
  return sensors.facts;
}

test("a laptop's files and its accelerators become its facts", async () => {
  const files = { ...laptop };
  const facts = await factsOf(machineOf(files, { "nvidia-smi": cards }), async (time) => {
    files["/proc/stat"] = "cpu  125 0 50 870 55 0 0 0 0 0\n";
    await time.pass(5000);
  });
  expect(facts).toEqual({
    name: "laptop",
    version: "0.1.0",
    os: "Fedora Linux 42 (Workstation)",
    arch: "x64",
    chip: "Intel(R) Core(TM) i7-1260P",
    cores: 2,
    memoryBytes: 32e9,
    freeBytes: 20e9,
    diskFreeBytes: 5e11,
    accelerators: [
      {
        kind: "cuda",
        name: "NVIDIA GeForce RTX 4090",
        memoryBytes: 24564 * 2 ** 20,
        freeBytes: 23870 * 2 ** 20,
      },
      { kind: "cuda", name: "NVIDIA H200", memoryBytes: 143771 * 2 ** 20 },
    ],
    interfaces: [
      { name: "wlp1s0", medium: "wifi", addresses: ["10.0.0.2"] },
      { name: "br0", medium: "ethernet", speedMbps: 2500, addresses: ["10.0.1.2"] },
      { name: "thunderbolt0", medium: "thunderbolt", speedMbps: 20_000, addresses: ["10.0.2.2"] },
      { name: "wg0", medium: "tunnel", addresses: ["10.0.3.2"] },
      { name: "veth12", medium: "unknown", addresses: ["10.0.4.2"] },
    ],
    rdma: "ready",
    placements: ["sharedStages", "sharedHeads"],
    hidden: ["8bit"],
    busy: 0.25,
    power: "battery",
    thermal: "serious",
  });
});

test("a machine that tells nothing is still one", async () => {
  const { os, chip, cores, power, thermal, busy, rdma } = await factsOf(machineOf({}, {}));
  expect({ os, chip, cores, power, thermal, busy, rdma }).toEqual({
    os: "Linux 6.18.0",
    chip: "a processor",
    cores: 4,
    power: undefined,
    thermal: undefined,
    busy: undefined,
    rdma: "none",
  });
});

test("garbage in any file and command becomes no failure, and facts that keep their limits", async () => {
  const nonsense = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.constantFrom("", "-1\n", "99999999999999999999\n", "NaN", "0x10", "1e400", "\0\n\0", "4294967295"),
    fc
      .constantFrom(...Object.values(laptop), cards)
      .chain((text) =>
        fc
          .tuple(fc.nat(text.length), fc.string({ unit: "binary", maxLength: 5 }))
          .map(([at, put]) => text.slice(0, at) + put + text.slice(at + 1)),
      ),
  );
  const spoilt = fc.dictionary(fc.constantFrom(...Object.keys(laptop)), nonsense);
  await fc.assert(
    fc.asyncProperty(spoilt, nonsense, async (files, output) => {
      const facts = await factsOf(machineOf({ ...laptop, ...files }, { "nvidia-smi": output }), (time) =>
        time.pass(2000),
      );
      expect([...Value.Errors(NodeFacts, facts)]).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

test("whatever nvidia-smi says, its lines become cards or nothing", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => Array.isArray(parseNvidia(text))));
});
