import { expect, test } from "bun:test";
import { Supervisor } from "#protocol/supervisor";
import { house, loads } from "./test/house.ts";

test("models that nobody asks give way to one that needs their memory, not those that are used or kept", async () => {
  const { ask, busy, later, workers } = house(loads);
  const shown = async () =>
    ((await ask(Supervisor.List({}))).models as { model: string; idle?: boolean }[]).map(
      ({ model, idle }) => `${model}${idle ? " idle" : ""}`,
    );
  await ask(Supervisor.Acquire({ model: "m" }));
  await ask(Supervisor.Acquire({ model: "kept" }));
  busy.idleMs = 700_000;
  const fresh = await ask(Supervisor.Acquire({ model: "large" }));
  const before = await shown();
  later.ms = 650_000;
  await ask(Supervisor.Stop({ model: "large" }));
  const idle = await shown();
  const placed = await ask(Supervisor.Acquire({ model: "large" }));
  expect([fresh.notes, before, idle, placed.notes, await shown(), workers.length]).toEqual([
    undefined,
    ["m", "kept", "large"],
    ["m idle", "kept"],
    ["m was stopped for it, as nobody asked it anything for 10 min"],
    ["kept", "large"],
    4,
  ]);
});
