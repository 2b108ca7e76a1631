/** What the benchmark ran on and with; facts that could spoil it become warnings. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { arch, cpus, freemem, loadavg, platform, release, totalmem } from "node:os";
import { shownBytes } from "../terminal/table.ts";

export interface Environment {
  readonly exo: { readonly version: string; readonly commit: string };
  readonly bun: string;
  readonly os: string;
  readonly arch: string;
  readonly cpu: string;
  readonly logicalCores: number;
  readonly physicalCores?: number;
  readonly memoryBytes: number;
  readonly freeMemoryBytes: number;
  readonly swapUsedBytes?: number;
  readonly loadAverage: number;
  readonly power?: "mains" | "battery";
  readonly governor?: string;
  readonly target: TargetFacts;
  /** SHA-256 of the config's text, or of the flags that stand for one. */
  readonly configHash: string;
}

export interface TargetFacts {
  readonly url: string;
  /** `in process`: a node of this very process; `daemon`: an exo found on this machine; `url`: named by the user. */
  readonly kind: "in process" | "daemon" | "url";
  readonly api: string;
  readonly promptsBy: "token ids" | "words";
  readonly exactLengths: string;
  /** What its exo says of itself, where it is one. */
  readonly version?: string;
}

export type MachineFacts = Omit<Environment, "exo" | "target" | "configHash">;

/** Of the machine that runs the client; a target named by URL may be another one. */
export function machineFacts(): MachineFacts {
  const processors = cpus();
  const physical = physicalCores();
  const swap = swapUsed();
  const power = powerSource();
  const governor = read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  return {
    bun: Bun.version,
    os: `${platform()} ${release()}`,
    arch: arch(),
    cpu: processors[0]?.model.trim() ?? "unknown",
    logicalCores: processors.length,
    ...(physical !== undefined && { physicalCores: physical }),
    memoryBytes: totalmem(),
    freeMemoryBytes: freemem(),
    ...(swap !== undefined && { swapUsedBytes: swap }),
    loadAverage: loadavg()[0] ?? 0,
    ...(power !== undefined && { power }),
    ...(governor !== undefined && { governor }),
  };
}

const SWAP_MOST = 100e6;
const FREE_LEAST = 500e6;
/** Of the cores: others at work take turns with what is measured. */
const LOAD_MOST = 0.5;

/** Sentences for the top of the report. */
export function machineWarnings(facts: MachineFacts): string[] {
  const { loadAverage, logicalCores, swapUsedBytes = 0, freeMemoryBytes, power, governor } = facts;
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
  ];
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined; // not this platform, or not for this user to read: the fact stays unknown.
  }
}

/** Linux lists per processor which core of which package it is. */
function physicalCores(): number | undefined {
  const blocks = (read("/proc/cpuinfo") ?? "").split("\n\n");
  const cores = blocks.flatMap((block) => {
    const core = /^core id\s*:\s*(\d+)/m.exec(block)?.[1];
    return core === undefined ? [] : [`${/^physical id\s*:\s*(\d+)/m.exec(block)?.[1]}/${core}`];
  });
  return cores.length === 0 ? undefined : new Set(cores).size;
}

function swapUsed(): number | undefined {
  const text = read("/proc/meminfo") ?? "";
  const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1]);
  const used = (kilobytes("SwapTotal") - kilobytes("SwapFree")) * 1024;
  return Number.isNaN(used) ? undefined : used;
}

const SUPPLIES = "/sys/class/power_supply";

function powerSource(): Environment["power"] {
  if (!existsSync(SUPPLIES)) return undefined;
  const online = readdirSync(SUPPLIES).flatMap((name) => read(`${SUPPLIES}/${name}/online`) ?? []);
  if (online.length === 0) return undefined;
  return online.includes("1") ? "mains" : "battery";
}
