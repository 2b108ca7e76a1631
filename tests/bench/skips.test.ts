import { expect, test } from "bun:test";
import { machineWarnings } from "#actors/supervisor/bench/environment";
import type { MachineFacts } from "#actors/supervisor/bench/facts";
import { readConfig } from "#actors/supervisor/bench/read-config";
import { selected } from "#actors/supervisor/bench/skips";

const machine: MachineFacts = {
  bun: "1",
  os: "linux",
  arch: "x64",
  cpu: "Apple M3 Ultra",
  logicalCores: 8,
  memoryBytes: 96e9,
  freeMemoryBytes: 50e9,
  loadAverage: 0.2,
};

const selectedFrom = (more: string) => {
  const { scenarios, skipped } = selected(readConfig(`models: [m]\n${more}`, "c"), {
    machine,
    home: "no exo serves here",
    noEnergy: "no counter",
  });
  return [scenarios.map(({ name }) => name), skipped.map(({ what }) => what)];
};

test("what needs several machines is skipped with a reason where there is no home, and the rest is run", () => {
  const config = `scenarios:
  - {name: chat}
  - {name: failover, faults: [{at: 20s, kill: mini}]}
  - {name: quality, check: {perplexity: t.txt, tools: builtin}}
placement: {strategy: [auto, single, tensor]}
collect: {energy: true, gpu: false, links: true}
`;
  expect(selectedFrom(config)).toEqual([
    ["chat", "quality"],
    ["scenario failover", "placement tensor", "collect energy", "collect links"],
  ]);
});

test("requirements decide whether anything is run here", () => {
  const met = (requirement: string) => selectedFrom(`require: {${requirement}}\nscenarios: [{name: s}]\n`)[0];
  expect({
    enough: met('memory: ">=96GB"'),
    tooLittle: met('memory: ">96GB"'),
    chip: met('chip: "M3|M4"'),
    otherChip: met("chip: EPYC"),
    alone: met('nodes: "1"'),
    several: met('nodes: ">=2"'),
    link: met("link: thunderbolt"),
  }).toEqual({
    enough: ["s"],
    tooLittle: [],
    chip: ["s"],
    otherChip: [],
    alone: ["s"],
    several: [],
    link: [],
  });
});

test("a machine that would spoil the figures is warned of", () => {
  const bad = {
    loadAverage: 7,
    swapUsedBytes: 3e9,
    freeMemoryBytes: 1e8,
    power: "battery",
    governor: "powersave",
  } as const;
  expect([machineWarnings(machine), machineWarnings({ ...machine, ...bad })]).toEqual([
    [],
    [
      "other programs are at work: load 7.0 on 8 cores before the first request",
      "3.0 GB are swapped out",
      "only 100 MB of memory are free",
      "the machine runs on battery, which often lowers its clock",
      "the processor's governor is powersave",
    ],
  ]);
});
