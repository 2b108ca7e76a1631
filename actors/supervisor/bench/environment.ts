/** What the benchmark ran on, as the system tells it; facts that could spoil it become warnings. */
import { arch, cpus, freemem, loadavg, platform, release, totalmem } from "node:os";
import { physicalCores, powerSource, thermalZones } from "#actors/runtime/machine/linux-facts";
import { listFolder, readText } from "#actors/runtime/machine/system-files";
import { shownBytes } from "../terminal/table.ts";
import type { MachineFacts } from "./facts.ts";

/**
 * The machine that runs the client before the first request; what its platform does not tell stays unknown. `root` stands
 * before the system's paths (`/proc`, `/sys`), for recorded ones.
 */
export function machineFacts(root = ""): MachineFacts {
  const processors = cpus();
  const files = {
    read: (path: string) => readText(root + path),
    list: (path: string) => listFolder(root + path),
  };
  const known = {
    physicalCores: physicalCores(files.read("/proc/cpuinfo") ?? ""),
    coresAllowed: coresAllowed(root),
    swapUsedBytes: swapUsed(root),
    power: powerSource(files),
    governor: read(`${root}/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor`),
    platformProfile: read(`${root}/sys/firmware/acpi/platform_profile`),
    hottestCelsius: hottest(thermalZones(files)),
    throttledTimes: throttled(root),
    gpus: graphics(root),
  };
  return {
    bun: Bun.version,
    os: `${platform()} ${release()}`,
    arch: arch(),
    cpu: processors[0]?.model.trim() ?? "unknown",
    logicalCores: processors.length,
    memoryBytes: totalmem(),
    freeMemoryBytes: freemem(),
    loadAverage: loadavg()[0] ?? 0,
    ...(Object.fromEntries(
      Object.entries(known).filter(([, value]) => value !== undefined),
    ) as Partial<MachineFacts>),
  };
}

/** Near the point where processors lower their clock. */
const HOT = 85;
const SWAP_MOST = 100e6;
const FREE_LEAST = 500e6;
/** Of the cores: others at work take turns with what is measured. */
const LOAD_MOST = 0.5;

/** Sentences for the top of the report. */
export function machineWarnings(facts: MachineFacts): string[] {
  const { loadAverage, logicalCores, swapUsedBytes = 0, freeMemoryBytes, power, governor } = facts;
  const { platformProfile, hottestCelsius = 0, coresAllowed = logicalCores } = facts;
  return [
    ...(loadAverage > LOAD_MOST * logicalCores
      ? [
          `other programs are at work: load ${loadAverage.toFixed(1)} on ${logicalCores} cores before the first request`,
        ]
      : []),
    ...(swapUsedBytes > SWAP_MOST ? [`${shownBytes(swapUsedBytes)} are swapped out`] : []),
    ...(freeMemoryBytes < FREE_LEAST ? [`only ${shownBytes(freeMemoryBytes)} of memory are free`] : []),
    ...(power === "battery" ? ["the machine runs on battery, which often lowers its clock"] : []),
    ...(governor === "powersave" ? ["the processor's governor is powersave"] : []),
    ...(platformProfile === "low-power" ? ["the machine is in its low-power mode"] : []),
    ...(hottestCelsius > HOT
      ? [`a sensor shows ${Math.round(hottestCelsius)} °C before the first request`]
      : []),
    ...(coresAllowed < logicalCores
      ? [`a container's limit allows ${coresAllowed} of ${logicalCores} cores`]
      : []),
  ];
}

/** What slowed the processor while it was measured. */
export function throttleWarnings(before: MachineFacts, after: MachineFacts): string[] {
  const times = (after.throttledTimes ?? 0) - (before.throttledTimes ?? 0);
  return times > 0 ? [`heat lowered the processor's clock ${times} times while it was measured`] : [];
}

const read = (path: string): string | undefined => readText(path)?.trim();

const numberAt = (path: string): number | undefined => {
  const text = read(path);
  return text === undefined || !Number.isFinite(Number(text)) ? undefined : Number(text);
};

/** Control groups, version 2: microseconds of processor time in each period. */
function coresAllowed(root: string): number | undefined {
  const [quota, period] = (read(`${root}/sys/fs/cgroup/cpu.max`) ?? "").split(" ").map(Number);
  return quota && period ? quota / period : undefined;
}

function swapUsed(root: string): number | undefined {
  const text = read(`${root}/proc/meminfo`) ?? "";
  const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1]);
  const used = (kilobytes("SwapTotal") - kilobytes("SwapFree")) * 1024;
  return Number.isNaN(used) ? undefined : used;
}

const hottest = (zones: readonly { readonly milliCelsius: number }[]): number | undefined =>
  zones.length === 0 ? undefined : Math.max(...zones.map(({ milliCelsius }) => milliCelsius)) / 1000;

/** Every thread of a core shows the count of its core. */
function throttled(root: string): number | undefined {
  const folder = `${root}/sys/devices/system/cpu`;
  const counts = listFolder(folder)
    .filter((name) => /^cpu\d+$/.test(name))
    .flatMap((name) => numberAt(`${folder}/${name}/thermal_throttle/core_throttle_count`) ?? []);
  return counts.length === 0 ? undefined : counts.reduce((sum, each) => sum + each, 0);
}

/** By their PCI numbers, of which the first is the maker's. */
function graphics(root: string): readonly string[] | undefined {
  const folder = `${root}/sys/class/drm`;
  const cards = listFolder(folder).filter((name) => /^card\d+$/.test(name));
  const named = cards.flatMap((card) => {
    const [vendor, device] = [
      read(`${folder}/${card}/device/vendor`),
      read(`${folder}/${card}/device/device`),
    ];
    return vendor === undefined ? [] : [`${MAKERS[vendor] ?? vendor} ${device ?? ""}`.trim()];
  });
  return named.length === 0 ? undefined : named;
}

const MAKERS: Readonly<Record<string, string>> = { "0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel" };
