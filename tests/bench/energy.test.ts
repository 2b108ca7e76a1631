import { expect, test } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { energySource } from "#actors/supervisor/bench/energy-source";
import { machineFacts, machineWarnings, throttleWarnings } from "#actors/supervisor/bench/environment";
import { powerMeter } from "#actors/supervisor/bench/power-meter";
import { tableReport } from "#actors/supervisor/bench/table-report";
import { freshFolder } from "../cli/exo.ts";
import { benchmark } from "./bench-world.ts";
import { reportOf } from "./sample-report.ts";
import { virtualClock } from "./virtual-clock.ts";

/** Files by their paths, as a system had them. */
async function recorded(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) await Bun.write(join(folder, path), `${text}\n`);
}

/** A machine of two packages, one with memory of its own; zones of cores and a second view of the first are no more. */
const POWERCAP = {
  "intel-rapl/enabled": "1",
  "intel-rapl:0/name": "package-0",
  "intel-rapl:0/energy_uj": "10000000",
  "intel-rapl:0/max_energy_range_uj": "262143328850",
  "intel-rapl:0:0/name": "core",
  "intel-rapl:0:0/energy_uj": "7000000",
  "intel-rapl:0:1/name": "dram",
  "intel-rapl:0:1/energy_uj": "2000000",
  "intel-rapl:0:1/max_energy_range_uj": "65712999613",
  "intel-rapl:1/name": "package-1",
  "intel-rapl:1/energy_uj": "262143000000",
  "intel-rapl:1/max_energy_range_uj": "262143328850",
  "intel-rapl-mmio:0/name": "package-0",
  "intel-rapl-mmio:0/energy_uj": "10000000",
};

test("packages and memory are counted once each, also past the end of a counter", async () => {
  using folder = freshFolder();
  await recorded(folder.path, POWERCAP);
  const source = energySource(folder.path);
  if (typeof source === "string") throw new Error(source);
  const before = source.joules();
  await recorded(folder.path, {
    "intel-rapl:0/energy_uj": "15000000",
    "intel-rapl:0:1/energy_uj": "2500000",
    "intel-rapl:1/energy_uj": "1000000",
  });
  expect([source.name, source.joules() - before]).toEqual([
    "RAPL package-0 + dram + package-1",
    expect.closeTo(5 + 0.5 + 0.32885 + 1, 3),
  ]);
});

test("the whole system's counter goes before those of its parts", async () => {
  using folder = freshFolder();
  await recorded(folder.path, {
    ...POWERCAP,
    "intel-rapl:2/name": "psys",
    "intel-rapl:2/energy_uj": "1000000",
  });
  const source = energySource(folder.path);
  expect(typeof source === "string" ? source : source.name).toBe("RAPL psys");
});

test("where no counter is readable the reason is told, and never a zero", async () => {
  using folder = freshFolder();
  const words = () => {
    const found = energySource(folder.path);
    return typeof found === "string" ? found.replaceAll(folder.path, "") : found.name;
  };
  const none = words();
  await recorded(folder.path, POWERCAP);
  // A folder in its place cannot be read by anybody, root included.
  rmSync(join(folder.path, "intel-rapl:0/energy_uj"));
  mkdirSync(join(folder.path, "intel-rapl:0/energy_uj"));
  expect([none, words(), energySource(join(folder.path, "gone"))]).toEqual([
    "no power source is readable:  has no RAPL zone",
    "/intel-rapl:0/energy_uj cannot be read: on most systems only root may",
    expect.stringContaining("no power source is readable"),
  ]);
});

/** 10 W at rest, 30 W while a request is under way: it takes 100 ms to the first token and 10 ms for each further one. */
async function drawn(fails: readonly number[] = []) {
  const clock = virtualClock();
  let joules = 0;
  let [atMs, watts] = [0, 10];
  const pass = () => {
    joules += (watts * (clock.nowMs() - atMs)) / 1000;
    atMs = clock.nowMs();
  };
  const source = {
    name: "fake",
    joules: () => {
      pass();
      return joules;
    },
  };
  const world = await benchmark(
    "  - {name: s, output_tokens: 11, repeat: 2, load: {type: single, requests: 3}}",
    {
      clock,
      speeds: { fails },
      meters: { power: powerMeter(source, clock, 50) },
      busy: (isBusy) => {
        pass();
        watts = isBusy ? 30 : 10;
      },
    },
  );
  return world.cells[0];
}

test("energy is what was drawn over the runs, with and without what is drawn at rest", async () => {
  const cell = await drawn();
  const { energy } = cell?.summary ?? {};
  // Each answer takes 200 ms at 30 W: 6 J, of which 4 J are above the 10 W at rest.
  expect(energy).toEqual({
    watts: expect.closeTo(30),
    baselineWatts: expect.closeTo(10),
    grossWhPerRequest: expect.closeTo(6 / 3600, 6),
    whPerRequest: expect.closeTo(4 / 3600, 6),
    joulesPerToken: expect.closeTo(4 / 11, 6),
  });
  expect(cell?.runs[0]?.energy?.watts.map(([at]) => at)).toEqual(
    Array.from({ length: 12 }, (_, i) => (i + 1) * 50),
  );
  expect(cell?.perRun.joules_per_token?.length).toBe(2);
});

test("what was drawn while a request failed is shared by those that were answered", async () => {
  const { energy } = (await drawn([1]))?.summary ?? {};
  // Five answers of 6 J, and 100 ms at 10 W after the failure.
  expect((energy?.grossWhPerRequest ?? 0) * 3600).toBeCloseTo((5 * 6 + 1) / 5);
});

test("the table names the source and what is drawn at rest", async () => {
  const report = reportOf();
  const [cell] = report.cells;
  if (!cell) throw new Error("the sample has a cell");
  const energy = {
    watts: 31.25,
    baselineWatts: 8,
    grossWhPerRequest: 0.002,
    whPerRequest: 0.0015,
    joulesPerToken: 1.234,
  };
  const text = tableReport({
    ...report,
    environment: { ...report.environment, energySource: "RAPL package-0" },
    cells: [{ ...cell, summary: { ...cell.summary, energy } }],
  });
  expect([
    /WH\/REQ {2}J\/TOK/.test(text),
    /0\.0015 {2}1\.23/.test(text),
    text.includes("energy as RAPL package-0 counts it: up to 31.3 W, at rest 8.0 W"),
  ]).toEqual([true, true, true]);
});

test("what the system tells of itself is read, and what could spoil the figures is warned of", async () => {
  using folder = freshFolder();
  const cpu = "sys/devices/system/cpu";
  await recorded(folder.path, {
    "sys/firmware/acpi/platform_profile": "low-power",
    "sys/class/thermal/thermal_zone0/temp": "45000",
    "sys/class/thermal/thermal_zone1/temp": "91500",
    "sys/class/thermal/cooling_device0/temp": "99000",
    [`${cpu}/cpu0/thermal_throttle/core_throttle_count`]: "3",
    [`${cpu}/cpu1/thermal_throttle/core_throttle_count`]: "4",
    [`${cpu}/cpu0/cpufreq/scaling_governor`]: "performance",
    "sys/fs/cgroup/cpu.max": "50000 100000",
    "sys/class/drm/card0/device/vendor": "0x1002",
    "sys/class/drm/card0/device/device": "0x744c",
    "sys/class/power_supply/AC/online": "0",
    "proc/meminfo": "SwapTotal:  100 kB\nSwapFree:  60 kB",
  });
  const facts = machineFacts(folder.path);
  expect(facts).toMatchObject({
    platformProfile: "low-power",
    hottestCelsius: 91.5,
    throttledTimes: 7,
    governor: "performance",
    coresAllowed: 0.5,
    gpus: ["AMD 0x744c"],
    power: "battery",
    swapUsedBytes: 40_960,
  });
  const calm = { ...facts, loadAverage: 0, freeMemoryBytes: 8e9, logicalCores: 4 };
  expect([machineWarnings(calm), throttleWarnings(facts, { ...facts, throttledTimes: 9 })]).toEqual([
    [
      "the machine runs on battery, which often lowers its clock",
      "the machine is in its low-power mode",
      "a sensor shows 92 °C before the first request",
      "a container's limit allows 0.5 of 4 cores",
    ],
    ["heat lowered the processor's clock 2 times while it was measured"],
  ]);
  using nothing = freshFolder();
  const known = Object.keys(machineFacts(nothing.path));
  expect(Object.keys(facts).filter((fact) => !known.includes(fact))).toEqual([
    "coresAllowed",
    "swapUsedBytes",
    "power",
    "governor",
    "platformProfile",
    "hottestCelsius",
    "throttledTimes",
    "gpus",
  ]);
});
