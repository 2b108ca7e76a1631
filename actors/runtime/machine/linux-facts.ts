/** Facts of a Linux machine that more than one room asks for, out of its files. Formats: proc(5), sysfs(5). */

/** The calls that read files; those of system-files.ts, or recorded ones. */
export interface SystemFiles {
  read(path: string): string | undefined;
  list(path: string): readonly string[];
}

/** Of /proc/cpuinfo, which lists per processor which core of which package it is; undefined where it does not. */
export function physicalCores(cpuinfo: string): number | undefined {
  const cores = cpuinfo.split("\n\n").flatMap((block) => {
    const core = /^core id\s*:\s*(\d+)/m.exec(block)?.[1];
    return core === undefined ? [] : [`${/^physical id\s*:\s*(\d+)/m.exec(block)?.[1]}/${core}`];
  });
  return cores.length === 0 ? undefined : new Set(cores).size;
}

const SUPPLIES = "/sys/class/power_supply";

/** What feeds the machine; batteries of mice and pens (`scope` Device) do not. Undefined where nothing is listed. */
export function powerSource({ read, list }: SystemFiles): "mains" | "battery" | undefined {
  const supplies = list(SUPPLIES).filter((name) => read(`${SUPPLIES}/${name}/scope`)?.trim() !== "Device");
  const online = supplies.flatMap((name) => read(`${SUPPLIES}/${name}/online`)?.trim() ?? []);
  if (online.includes("1")) return "mains";
  const draining = supplies.some((name) => read(`${SUPPLIES}/${name}/status`)?.trim() === "Discharging");
  if (draining || online.length > 0) return "battery";
  return undefined;
}

const ZONES = "/sys/class/thermal";
/** The kernel allows so many limits of a zone. */
const TRIPS_MAX = 12;

export interface ThermalZone {
  readonly milliCelsius: number;
  /** Where the machine begins to lower its clock. */
  readonly passive?: number;
  /** Where it stops. */
  readonly hot?: number;
}

/** Every zone with a temperature that can be true (sensors that are off show absurd ones). */
export function thermalZones(files: SystemFiles): readonly ThermalZone[] {
  return files
    .list(ZONES)
    .filter((name) => name.startsWith("thermal_zone"))
    .flatMap((name) => {
      const milliCelsius = wholeIn(files.read(`${ZONES}/${name}/temp`));
      if (milliCelsius === undefined || milliCelsius < -50_000 || milliCelsius > 200_000) return [];
      return [{ milliCelsius, ...tripsOf(files, `${ZONES}/${name}`) }];
    });
}

function tripsOf({ read }: SystemFiles, zone: string): Omit<ThermalZone, "milliCelsius"> {
  const trips: { passive?: number; hot?: number } = {};
  for (let trip = 0; trip < TRIPS_MAX; trip++) {
    const type = read(`${zone}/trip_point_${trip}_type`)?.trim();
    if (type === undefined) break;
    const at = wholeIn(read(`${zone}/trip_point_${trip}_temp`));
    if (at === undefined || at <= 0) continue;
    if (type === "passive") trips.passive = Math.min(at, trips.passive ?? at);
    if (type === "hot" || type === "critical") trips.hot = Math.min(at, trips.hot ?? at);
  }
  return trips;
}

const wholeIn = (text: string | undefined): number | undefined =>
  text !== undefined && /^\s*-?\d{1,12}\s*$/.test(text) ? Number(text) : undefined;
