/** Outputs written after the manuals and what others published of theirs; no Mac has run this yet. */
import { expect, test } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import fc from "fast-check";
import type { Machine } from "#actors/topology/probes/machine";
import { Sensors } from "#actors/topology/sensors";
import { NodeFacts } from "#protocol/node";
import { VirtualTime } from "../sim/time.ts";

const studio: Readonly<Record<string, string>> = {
  sysctl:
    "machdep.cpu.brand_string: Apple M3 Ultra\nhw.physicalcpu: 28\nhw.memsize: 103079215104\nkern.osproductversion: 26.2\n",
  vm_stat: `Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                             1000000.
Pages active:                           2000000.
Pages inactive:                          500000.
Pages speculative:                       100000.
Pages throttled:                              0.
Pages wired down:                        300000.
"Translation faults":                 123456789.
`,
  "pmset -g batt": "Now drawing from 'AC Power'\n",
  "notifyutil -g com.apple.system.thermalpressurelevel": "com.apple.system.thermalpressurelevel 1\n",
  "networksetup -listallhardwareports": `
Hardware Port: Ethernet
Device: en0
Ethernet Address: 00:00:5e:00:53:01

Hardware Port: Wi-Fi
Device: en1
Ethernet Address: 00:00:5e:00:53:02

Hardware Port: Thunderbolt 1
Device: en2
Ethernet Address: 00:00:5e:00:53:03

Hardware Port: Thunderbolt Bridge
Device: bridge0
Ethernet Address: 00:00:5e:00:53:04

VLAN Configurations
===================
`,
  "ifconfig -a": `en0: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 1500
\tinet 10.0.0.2 netmask 0xffffff00 broadcast 10.0.0.255
\tmedia: autoselect (10Gbase-T <full-duplex>)
\tstatus: active
en1: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 1500
\tmedia: autoselect
`,
  "rdma_ctl status": "enabled\n",
  ibv_devices: `    device          \t   node GUID
    ------          \t----------------
    rdma_en2        \te0c5797d9c8fac05
`,
  "system_profiler SPDisplaysDataType -json": JSON.stringify({
    SPDisplaysDataType: [
      {
        _name: "Apple M3 Ultra",
        spdisplays_mtlgpufamilysupport: "spdisplays_metal3",
        spdisplays_vendor: "sppci_vendor_Apple",
        sppci_cores: "60",
        sppci_device_type: "spdisplays_gpu",
        sppci_model: "Apple M3 Ultra",
      },
    ],
  }),
  "system_profiler SPThunderboltDataType -json": JSON.stringify({
    SPThunderboltDataType: [
      {
        _items: [{ _name: "Mac mini", domain_uuid_key: "BBBBBBBB-0000-4000-8000-000000000002" }],
        _name: "thunderboltusb4_bus_0",
        domain_uuid_key: "AAAAAAAA-0000-4000-8000-000000000001",
        receptacle_1_tag: {
          current_speed_key: "80 Gb/s",
          receptacle_id_key: "1",
          receptacle_status_key: "receptacle_connected",
        },
      },
      {
        _name: "thunderboltusb4_bus_1",
        domain_uuid_key: "AAAAAAAA-0000-4000-8000-000000000003",
        receptacle_1_tag: { current_speed_key: "Up to 120 Gb/s", receptacle_id_key: "2" },
      },
    ],
  }),
};

const address = (name: string, text: string, internal = false) => ({
  interface: name,
  address: text,
  netmask: "255.255.255.0",
  internal,
});

const machineOf = (outputs: Readonly<Record<string, string>>): Machine => ({
  platform: "darwin",
  arch: "arm64",
  release: "25.2.0",
  read: () => undefined,
  list: () => [],
  run: async (command, args) => outputs[command] ?? outputs[[command, ...args].join(" ")],
  addresses: () => [
    address("lo0", "127.0.0.1", true),
    address("en0", "10.0.0.2"),
    address("en1", "10.0.1.2"),
    address("bridge0", "169.254.0.2"),
    address("awdl0", "fe80::1"),
    address("utun0", "fe80::2"),
    address("utun4", "100.64.0.2"),
  ],
  processors: () => ({ model: "Apple M3 Ultra", count: 28, time: { busy: 0, total: 0 } }),
  memoryBytes: () => 96 * 2 ** 30,
  freeBytes: () => 2 ** 30,
  diskFreeBytes: async () => 1e12,
});

async function factsOf(outputs: Readonly<Record<string, string>>) {
  const time = new VirtualTime();
  const clock = time.clock(() => 0);
  const machine = machineOf(outputs);
  const options = {
    clock,
    machine,
    name: "studio",
    version: "0.1.0",
    modelsFolder: "/m",
    changed: () => {},
  };
  const sensors = new Sensors(options);
  sensors.start();
  await time.pass(10_500);
  sensors.stop();
  return sensors.facts;
}

test("a Mac's commands become its facts", async () => {
  expect(await factsOf(studio)).toEqual({
    name: "studio",
    version: "0.1.0",
    os: "macOS 26.2",
    arch: "arm64",
    chip: "Apple M3 Ultra",
    cores: 28,
    memoryBytes: 96 * 2 ** 30,
    freeBytes: 1_600_000 * 16_384,
    diskFreeBytes: 1e12,
    accelerators: [{ kind: "metal", name: "Apple M3 Ultra (60 cores)", memoryBytes: 96 * 2 ** 30 }],
    interfaces: [
      { name: "en0", medium: "ethernet", speedMbps: 10_000, addresses: ["10.0.0.2"] },
      { name: "en1", medium: "wifi", addresses: ["10.0.1.2"] },
      { name: "bridge0", medium: "thunderbolt", addresses: ["169.254.0.2"] },
      { name: "utun4", medium: "tunnel", addresses: ["100.64.0.2"] },
    ],
    rdma: "ready",
    placements: ["sharedStages", "sharedHeads"],
    hidden: ["8bit"],
    thunderbolt: [
      {
        name: "Thunderbolt 1",
        domain: "aaaaaaaa-0000-4000-8000-000000000001",
        peerDomain: "bbbbbbbb-0000-4000-8000-000000000002",
        speedMbps: 80_000,
        rdmaDevice: "rdma_en2",
      },
      { name: "Thunderbolt 2", domain: "aaaaaaaa-0000-4000-8000-000000000003" },
    ],
    power: "mains",
    thermal: "fair",
  });
});

test.each([
  ["enabled, with devices", "enabled\n", studio.ibv_devices, "ready"],
  ["enabled, without devices", "RDMA is enabled\n", "", "disabled"],
  ["disabled", "disabled\n", "", "disabled"],
  ["not enabled", "RDMA is not enabled\n", studio.ibv_devices, "disabled"],
  ["a system without it", undefined, undefined, "none"],
] as const)("RDMA: %s", async (_, control, devices, state) => {
  const { ibv_devices: _devices, "rdma_ctl status": _control, ...rest } = studio;
  const outputs = {
    ...rest,
    ...(control !== undefined && { "rdma_ctl status": control }),
    ...(devices !== undefined && { ibv_devices: devices }),
  };
  expect((await factsOf(outputs)).rdma).toBe(state);
});

test("garbage from any command becomes no failure, and facts that keep their limits", async () => {
  const nonsense = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.json(),
    fc
      .constantFrom(...Object.values(studio))
      .chain((text) =>
        fc
          .tuple(fc.nat(text.length), fc.string({ unit: "binary", maxLength: 5 }))
          .map(([at, put]) => text.slice(0, at) + put + text.slice(at + 1)),
      ),
    fc.constantFrom(
      '{"SPThunderboltDataType":[null,{"domain_uuid_key":5},{"domain_uuid_key":"x","receptacle_1_tag":{"receptacle_id_key":"["}}]}',
      '{"SPDisplaysDataType":[{"sppci_model":"x","spdisplays_metal":"y","sppci_cores":{}}]}',
      "null",
      "Pages free: 99999999999999999999999999.\nPages inactive: 1.\nPages speculative: 1.\npage size of 9 bytes",
    ),
  );
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.constantFrom(...Object.keys(studio)), nonsense), async (outputs) => {
      expect([...Value.Errors(NodeFacts, await factsOf({ ...studio, ...outputs }))]).toEqual([]);
    }),
    { numRuns: 300 },
  );
});
