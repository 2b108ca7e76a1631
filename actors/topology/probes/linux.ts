/** What Linux tells of its machine by files. Formats: proc(5), sysfs(5), and the kernel's Documentation/ABI where named. */
import { physicalCores, powerSource, thermalZones } from "#actors/runtime/machine/linux-facts";
import type { NodeFacts } from "#protocol/node";
import { interfacesOf } from "./linux-interfaces.ts";
import type { Machine, ProcessorTime } from "./machine.ts";
import { nvidiaAccelerators } from "./nvidia.ts";
import type { Probe } from "./probe.ts";

export function linuxProbe(machine: Machine): Probe {
  return {
    fixed: async () => ({ ...chip(machine), ...cores(machine), os: distribution(machine) }),
    quick: async () => ({ freeBytes: machine.freeBytes() }),
    time: () => processorTime(machine.read("/proc/stat") ?? ""),
    slow: async () => ({
      memoryBytes: machine.memoryBytes(),
      interfaces: interfacesOf(machine),
      rdma: rdma(machine),
      ...power(machine),
      ...thermal(machine),
    }),
    dear: async () => ({ accelerators: await nvidiaAccelerators(machine) }),
  };
}

/** Where the processor has no name, as on most arm64, the board's is the best there is. */
function chip(machine: Machine): Partial<NodeFacts> {
  const info = machine.read("/proc/cpuinfo") ?? "";
  const name =
    /^model name\s*:\s*(\S.*)$/m.exec(info)?.[1] ??
    /^Model\s*:\s*(\S.*)$/m.exec(info)?.[1] ??
    machine.read("/sys/firmware/devicetree/base/model") ??
    machine.read("/sys/class/dmi/id/product_name");
  return name === undefined ? {} : { chip: name };
}

function cores(machine: Machine): Partial<NodeFacts> {
  const count = physicalCores(machine.read("/proc/cpuinfo") ?? "");
  return count === undefined ? {} : { cores: count };
}

/** https://www.freedesktop.org/software/systemd/man/os-release.html */
function distribution({ read, release }: Machine): string {
  const text = read("/etc/os-release") ?? "";
  const name = /^PRETTY_NAME=(["']?)(.*?)\1$/m.exec(text)?.[2];
  return name || `Linux ${release}`.trim();
}

/** The first line of /proc/stat; time that waits for disks is no work. */
export function processorTime(text: string): ProcessorTime | undefined {
  const [, line = ""] = /^cpu\s+(.*)$/m.exec(text) ?? [];
  const [user, nice, system, idle, waiting = 0, ...others] = line.split(/\s+/).map(Number);
  if (user === undefined || nice === undefined || system === undefined || idle === undefined)
    return undefined;
  const [irq = 0, softirq = 0, steal = 0] = others;
  const busy = user + nice + system + irq + softirq + steal;
  return { busy, total: busy + idle + waiting };
}

function power(machine: Machine): Partial<NodeFacts> {
  const source = powerSource(machine);
  return source === undefined ? {} : { power: source };
}

/** A zone without limits of its own is judged by what processors bear. */
const LIMITS = { passive: 95_000, hot: 105_000 };
/** So close below the limit at which a processor lowers its clock. */
const NEAR = 10_000;

/** How near the hottest zone is to its own limits (Documentation/driver-api/thermal/sysfs-api.rst; millidegrees). */
function thermal(machine: Machine): Partial<NodeFacts> {
  const levels = thermalZones(machine).map(({ milliCelsius, passive, hot }) => {
    const { passive: slows = LIMITS.passive, hot: stops = LIMITS.hot } = {
      ...(passive !== undefined && { passive }),
      ...(hot !== undefined && { hot }),
    };
    if (milliCelsius >= stops) return 3;
    if (milliCelsius >= slows) return 2;
    return milliCelsius >= slows - NEAR ? 1 : 0;
  });
  if (levels.length === 0) return {};
  const names = ["nominal", "fair", "serious", "critical"] as const;
  return { thermal: names[Math.max(...levels)] ?? "nominal" };
}

/** Documentation/ABI/stable/sysfs-class-infiniband: a port's state is `4: ACTIVE` when it carries. */
function rdma({ list, read }: Machine): NodeFacts["rdma"] {
  const devices = list("/sys/class/infiniband");
  if (devices.length === 0) return "none";
  const active = devices.some((device) => {
    const ports = `/sys/class/infiniband/${device}/ports`;
    return list(ports).some((port) => /^4:/.test(read(`${ports}/${port}/state`) ?? ""));
  });
  return active ? "ready" : "disabled";
}
