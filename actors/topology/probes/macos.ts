/**
 * What macOS tells of its machine by its own commands. **Not run on a Mac yet**: every reader is tested on outputs written after
 * the commands' manuals, Apple's TN3205 (RDMA over Thunderbolt) and outputs that others published. The first things to look at on a
 * Mac: `exo nodes --json` there, and whether its Thunderbolt ports and accelerator are the machine's.
 */
import type { NodeFacts, RdmaState } from "#protocol/node";
import type { Machine, ProcessorTime } from "./machine.ts";
import { acceleratorsIn, interfacesIn, mediaIn, portsOf, thunderboltIn } from "./macos-devices.ts";
import type { Probe, SomeFacts } from "./probe.ts";

export function macosProbe(machine: Machine): Probe {
  /** Hardware ports change only with what is plugged in: the dear round's are used in between. */
  let hardwarePorts: ReadonlyMap<string, string> = new Map();
  let media: ReadonlyMap<string, number> = new Map();
  return {
    fixed: async () => fixedFacts((await machine.run("sysctl", SYSCTL)) ?? ""),
    // A new process each two seconds would cost more than the figure is worth: the library's counts free pages only.
    quick: async () => ({}),
    time: (): ProcessorTime => machine.processors().time,
    slow: async () => ({
      ...memoryOf(machine.memoryBytes(), (await machine.run("vm_stat", [])) ?? ""),
      ...powerIn((await machine.run("pmset", ["-g", "batt"])) ?? ""),
      ...thermalIn((await machine.run("notifyutil", ["-g", PRESSURE])) ?? ""),
      interfaces: interfacesIn(machine.addresses(), hardwarePorts, media),
    }),
    async dear() {
      hardwarePorts = portsOf((await machine.run("networksetup", ["-listallhardwareports"])) ?? "");
      media = mediaIn((await machine.run("ifconfig", ["-a"])) ?? "");
      const devices = (await machine.run("ibv_devices", [])) ?? "";
      const profile = async (type: string) => (await machine.run("system_profiler", [type, "-json"])) ?? "";
      return {
        rdma: rdmaIn((await machine.run("rdma_ctl", ["status"])) ?? "", devices),
        accelerators: acceleratorsIn(
          await profile("SPDisplaysDataType"),
          machine.memoryBytes(),
          machine.arch === "arm64",
        ),
        thunderbolt: thunderboltIn(await profile("SPThunderboltDataType"), hardwarePorts, devices),
      };
    },
  };
}

const SYSCTL = ["machdep.cpu.brand_string", "hw.physicalcpu", "hw.memsize", "kern.osproductversion"];
/** OSThermalNotification.h: 0 nominal, 1 moderate, 2 heavy, 3 trapping, 4 sleeping. */
const PRESSURE = "com.apple.system.thermalpressurelevel";

/** sysctl(8): `name: value` lines; names that this version does not know are left out. */
export function fixedFacts(text: string): SomeFacts {
  const value = (name: string) => new RegExp(`^${RegExp.escape(name)}: (.+)$`, "m").exec(text)?.[1];
  const [chip, cores, version] = [
    value("machdep.cpu.brand_string"),
    Number(value("hw.physicalcpu")),
    value("kern.osproductversion"),
  ];
  return {
    os: version === undefined ? "macOS" : `macOS ${version}`,
    ...(chip !== undefined && { chip }),
    ...(cores >= 1 && { cores }),
  };
}

/** vm_stat(1): pages that are free, or that hold what can be read again. */
export function memoryOf(totalBytes: number, text: string): SomeFacts {
  const pageBytes = Number(/page size of (\d+) bytes/.exec(text)?.[1]);
  const pages = (name: string) => Number(new RegExp(`^Pages ${name}:\\s+(\\d+)\\.?$`, "m").exec(text)?.[1]);
  const free = pages("free") + pages("inactive") + pages("speculative");
  const freeBytes = free * pageBytes;
  return Number.isFinite(freeBytes) ? { freeBytes: Math.min(freeBytes, totalBytes) } : {};
}

/** pmset(1): `Now drawing from 'AC Power'`. */
export function powerIn(text: string): SomeFacts {
  const [, source] = /drawing from '([^']*)'/.exec(text) ?? [];
  if (source === "AC Power") return { power: "mains" };
  return source === "Battery Power" ? { power: "battery" } : {};
}

/** notifyutil(1): the name, then its state. */
export function thermalIn(text: string): SomeFacts {
  const [, level] = /thermalpressurelevel\s+(\d+)\s*$/.exec(text) ?? [];
  const names = ["nominal", "fair", "serious", "critical"] as const;
  if (level === undefined) return {};
  const thermal: NodeFacts["thermal"] = names[Math.min(Number(level), names.length - 1)];
  return thermal === undefined ? {} : { thermal };
}

/** TN3205: switched on in Recovery, after which verbs' devices are listed. Machines without the tool cannot. */
export function rdmaIn(control: string, devices: string): RdmaState {
  if (/\benabled\b/i.test(control) && !/\b(?:not|dis)\s*enabled\b/i.test(control))
    return /^\s*rdma_en\d+\s/m.test(devices) ? "ready" : "disabled";
  return /\bdisabled\b|not enabled/i.test(control) ? "disabled" : "none";
}
