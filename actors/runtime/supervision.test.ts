import { expect, test } from "bun:test";
import { systemClock } from "./clock.ts";
import { RestartBudget } from "./supervision.ts";

test("a budget is spent by restarts within its time, and comes back as they grow old", () => {
  let nowMs = 0;
  const budget = new RestartBudget({ restarts: 2, withinMs: 100 }, { ...systemClock, nowMs: () => nowMs });
  const spentAt = (ms: number) => {
    nowMs = ms;
    return budget.spend();
  };
  expect([0, 10, 20, 99, 100, 105, 111].map(spentAt)).toEqual([true, true, false, false, true, false, true]);
});
