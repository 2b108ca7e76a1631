import { expect, test } from "bun:test";
import type { MachineFacts } from "#actors/supervisor/bench/facts";
import { cellsOf } from "#actors/supervisor/bench/grid";
import type { Home } from "#actors/supervisor/bench/home";
import { needsHome, Unplaced } from "#actors/supervisor/bench/placements";
import { readConfig } from "#actors/supervisor/bench/read-config";
import { reportCells } from "#actors/supervisor/bench/report";
import { runBench } from "#actors/supervisor/bench/run-bench";
import { selected } from "#actors/supervisor/bench/skips";
import { Problem } from "#protocol/problem";
import { fakeTarget } from "./fake-target.ts";
import { virtualClock } from "./virtual-clock.ts";

const GRID = `models: [m]
defaults: {warmup: 0, repeat: 1}
placement: {strategy: [auto, tensor], nodes: [[studio], [studio, mini]]}
scenarios: [{name: s, output_tokens: 11}]
`;
const machine = { cpu: "M3", memoryBytes: 64e9, logicalCores: 8 } as MachineFacts;
const home: Home = { nodes: 2, memoryBytes: 128e9, media: ["thunderbolt", "wifi"] };

test("strategies and groups of machines make a grid, whose cells are told apart", () => {
  const config = readConfig(GRID, "c.yaml");
  const { scenarios, placements, skipped } = selected(config, { machine, home });
  const [model = { id: "" }] = config.models;
  expect([
    skipped,
    placements,
    placements.flatMap((each) => cellsOf(scenarios, model, each)).map(({ key }) => key),
  ]).toEqual([
    [],
    [
      { label: "auto on studio", wish: { nodes: ["studio"] } },
      { label: "tensor on studio", wish: { strategy: "tensor", nodes: ["studio"] } },
      { label: "auto on studio + mini", wish: { nodes: ["studio", "mini"] } },
      { label: "tensor on studio + mini", wish: { strategy: "tensor", nodes: ["studio", "mini"] } },
    ],
    [
      "s · m · auto on studio · 512×11 · 1 stream",
      "s · m · tensor on studio · 512×11 · 1 stream",
      "s · m · auto on studio + mini · 512×11 · 1 stream",
      "s · m · tensor on studio + mini · 512×11 · 1 stream",
    ],
  ]);
});

test("what ranks add up by is one more way of each strategy that has ranks, and of no other", () => {
  const text =
    "models: [m]\nplacement: {strategy: [pipeline, tensor], backend: [ring, jaccl]}\nscenarios: [{name: s}]\n";
  const config = readConfig(text, "c.yaml");
  expect([selected(config, { machine, home }).placements, needsHome(config)]).toEqual([
    [
      { label: "pipeline", wish: { strategy: "pipeline" } },
      { label: "tensor by ring", wish: { strategy: "tensor", backend: "ring" } },
      { label: "tensor by jaccl", wish: { strategy: "tensor", backend: "jaccl" } },
    ],
    true,
  ]);
});

test("hidden state is sent in each way between stages, and ranks may share one of these", () => {
  const text =
    "models: [m]\nplacement: {strategy: [auto, pipeline, mixed, tensor, single], backend: [auto, ring], hidden: [full, 8bit]}\nscenarios: [{name: s}]\n";
  const { placements, skipped } = selected(readConfig(text, "c.yaml"), { machine, home });
  const mixed = { strategy: "pipeline", sharedStages: true };
  expect<unknown>([placements, skipped]).toEqual([
    [
      { label: "auto with hidden full", wish: { hidden: "full" } },
      { label: "auto with hidden 8bit", wish: { hidden: "8bit" } },
      { label: "auto by ring", wish: { backend: "ring" } },
      { label: "pipeline with hidden full", wish: { strategy: "pipeline", hidden: "full" } },
      { label: "pipeline with hidden 8bit", wish: { strategy: "pipeline", hidden: "8bit" } },
      { label: "mixed with hidden full", wish: { ...mixed, hidden: "full" } },
      { label: "mixed with hidden 8bit", wish: { ...mixed, hidden: "8bit" } },
      { label: "mixed by ring with hidden full", wish: { ...mixed, backend: "ring", hidden: "full" } },
      { label: "mixed by ring with hidden 8bit", wish: { ...mixed, backend: "ring", hidden: "8bit" } },
      { label: "tensor", wish: { strategy: "tensor" } },
      { label: "tensor by ring", wish: { strategy: "tensor", backend: "ring" } },
      { label: "single", wish: { strategy: "single" } },
    ],
    [],
  ]);
});

test("where there may be a home, it is asked for: a strategy of one machine alone is the home's as well", () => {
  const asked = (placement: string) =>
    needsHome(readConfig(`models: [m]\n${placement}\nscenarios: [{name: s}]\n`, "c.yaml"));
  expect([
    asked(""),
    asked("placement: {strategy: auto}"),
    asked("placement: {strategy: [auto, single]}"),
    asked("placement: {nodes: [[ada]]}"),
    asked("placement: {hidden: 8bit}"),
  ]).toEqual([false, false, true, true, true]);
});

test("requirements hold of the machines that are there", () => {
  const reasons = (require: string, where: Home | string) =>
    selected(readConfig(`models: [m]\nrequire: {${require}}\nscenarios: [{name: s}]\n`, "c"), {
      machine,
      home: where,
    }).skipped.map(({ reason }) => reason);
  expect([
    reasons('nodes: ">=2", memory: ">=96GB", link: thunderbolt', home),
    reasons('nodes: ">=3", memory: ">=1TB", link: ethernet', home),
    reasons('nodes: ">=2", memory: ">=96GB", link: wifi', "no exo serves here"),
  ]).toEqual([
    [],
    [
      "needs nodes >=3; there are 2 now",
      "needs memory >=1TB; its 2 machines have 128.0 GB",
      "needs a link like ethernet; there are: thunderbolt, wifi",
    ],
    [
      "needs nodes >=2; there is 1 now: no exo serves here",
      "needs memory >=96GB; this machine has 64.0 GB",
      "needs a link like wifi; there are: none: no exo serves here",
    ],
  ]);
});

/** Machines that are not there are refused. */
async function measuredWith(absent: readonly string[]) {
  const config = readConfig(GRID, "c.yaml");
  const clock = virtualClock();
  const target = fakeTarget(clock);
  const opened: string[] = [];
  const work = runBench(config, selected(config, { machine, home }), {
    clock,
    signal: new AbortController().signal,
    async open(model, placement) {
      if (placement?.wish?.nodes?.some((name) => absent.includes(name)))
        throw new Unplaced(`${model.id}, ${placement.label}`, new Problem("notFound", "mini is away"));
      opened.push(`open ${placement?.label}`);
      const close = async () => void opened.push("close");
      return { wire: target, model: "m", kind: "daemon", stages: "studio 0–9", close };
    },
    read: () => "",
    journal: {
      measured: new Map(),
      has: () => false,
      add: async () => {},
      done: async () => {},
      release: async () => {},
    },
    meters: { clientCpuMs: () => 0 },
    status: () => {},
  });
  const done = await clock.run(work);
  return { opened, done, cells: reportCells(done.cells, done.measured) };
}

test("each placement is opened, measured and given back before the next; one that cannot be had is skipped with the reason", async () => {
  const { opened, done, cells } = await measuredWith(["mini"]);
  expect({
    opened,
    skipped: done.skipped,
    failure: done.failure,
    measured: cells.map(({ placement, summary }) => [placement, summary.requests]),
    layers: done.warnings[0],
  }).toEqual({
    opened: ["open auto on studio", "close", "open tensor on studio", "close"],
    skipped: ["auto", "tensor"].map((strategy) => ({
      what: `m, ${strategy} on studio + mini`,
      reason: "mini is away",
    })),
    failure: undefined,
    measured: [
      ["auto on studio", 1],
      ["tensor on studio", 1],
    ],
    layers: "m, auto on studio: layers are on studio 0–9",
  });
});

test("a benchmark of which no placement can be had ends with all the reasons", async () => {
  const why = await measuredWith(["studio"]).then(
    () => "measured",
    ({ message }) => message,
  );
  const places = ["auto on studio", "tensor on studio", "auto on studio + mini", "tensor on studio + mini"];
  expect(why.split("\n")).toEqual(places.map((each) => `m, ${each}: mini is away`));
});
