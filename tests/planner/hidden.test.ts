import { expect, test } from "bun:test";
import { DEFAULT_WISH, type Home } from "#actors/planner/home";
import { predict } from "#actors/planner/placement/predict";
import { plan } from "#actors/planner/plan";
import { randomFrom, randomHome, randomModel } from "./homes.ts";

test("hidden states in 8 bits are planned with their bytes: over slow links decoding and prompts gain what they save", () => {
  const random = randomFrom(7);
  const model = randomModel(random);
  const made = randomHome(random, 2, true);
  const ways = made.ways.map((row) => row.map((way) => way && { ...way, bytesPerSecond: 1e6 }));
  const machines = made.machines.map((machine) => ({ ...machine, freeBytes: 1e13 }));
  const full: Home = { machines, ways };
  const end = model.layers.length;
  const placement = [
    { machines: [0], start: 0, end: 1 },
    { machines: [1], start: 1, end },
  ];
  const stepMs = (home: Home) => predict(model, home, DEFAULT_WISH, placement).stepMs;
  const bytes = 2 * model.hidden;
  const saved = (1000 * (bytes - (model.hidden * 134) / 128)) / 1e6;
  const best = (home: Home) =>
    plan(model, home, { ...DEFAULT_WISH, minimumNodes: 2 }, "pipeline").ranked[0]?.stepMs ?? 0;
  const in8: Home = { ...full, hidden: "8bit" };
  expect([
    stepMs(full) - stepMs(in8),
    best(full) - best(in8) > saved - 0.01,
    stepMs({ ...full, hidden: "full" }),
  ]).toEqual([expect.closeTo(saved, 6), true, stepMs(full)]);
});
