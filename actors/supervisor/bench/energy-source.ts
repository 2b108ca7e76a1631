/**
 * Linux's power capping counters: https://docs.kernel.org/power/powercap/powercap.html. A zone counts microjoules and
 * begins again at 0 after `max_energy_range_uj`; a processor's package is a zone, and its memory may be one inside it.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { EnergySource } from "./power-meter.ts";

export const POWERCAP = "/sys/class/powercap";

/** The machine's counter of energy, or why there is none. */
export function energySource(folder: string): EnergySource | string {
  const zones = zonesIn(folder);
  if (typeof zones === "string") return zones;
  const counted = zones.map((zone) => counter(zone));
  const names = zones.map(({ name }) => name);
  return {
    name: `RAPL ${names.join(" + ")}`,
    joules: () => counted.reduce((sum, joules) => sum + joules(), 0),
  };
}

interface Zone {
  readonly name: string;
  readonly path: string;
  /** Joules after which it begins again. */
  readonly range: number;
}

/** Packages, and the memory beside them; a package's cores are in it already, and so is everything in the whole system's. */
function zonesIn(folder: string): readonly Zone[] | string {
  const entries = (tried(() => readdirSync(folder)) ?? []).toSorted();
  const found = entries.flatMap((entry) => {
    const path = join(folder, entry);
    const name = tried(() => readFileSync(join(path, "name"), "utf8").trim());
    return name === undefined || !/^intel-rapl:/.test(entry) || !/^(package|dram|psys)/.test(name)
      ? []
      : [{ name, path }];
  });
  const platform = found.filter(({ name }) => name.startsWith("psys"));
  const chosen = platform.length > 0 ? platform : found;
  if (chosen.length === 0) return `no power source is readable: ${folder} has no RAPL zone`;
  const zones = chosen.map(({ name, path }) => ({ name, path, range: rangeOf(path) }));
  const unreadable = zones.find(({ path }) => tried(() => microjoules(path)) === undefined);
  return unreadable === undefined
    ? zones
    : `${join(unreadable.path, "energy_uj")} cannot be read: on most systems only root may`;
}

const microjoules = (path: string): number => {
  const value = Number(readFileSync(join(path, "energy_uj"), "utf8"));
  if (!Number.isFinite(value)) throw new Error(`${path} counts no number`);
  return value;
};

const rangeOf = (path: string): number =>
  (tried(() => Number(readFileSync(join(path, "max_energy_range_uj"), "utf8"))) || 2 ** 32) / 1e6;

/** Read more often than it begins again, which takes a minute at the least. */
function counter({ path, range }: Zone): () => number {
  let [before, turns] = [0, 0];
  return () => {
    const now = microjoules(path) / 1e6;
    if (now < before) turns += 1;
    before = now;
    return now + turns * range;
  };
}

function tried<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined; // not there, or not for this user to read: said where no zone is left.
  }
}
