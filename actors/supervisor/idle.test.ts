import { expect, test } from "bun:test";
import { Problem } from "#protocol/problem";
import { Supervisor } from "#protocol/supervisor";
import { keptNames } from "./instance/idle.ts";
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

test("a model that somebody asks while room is looked for stays", async () => {
  const { ask, busy, later, looking } = house(loads);
  await ask(Supervisor.Acquire({ model: "m" }));
  busy.idleMs = 700_000;
  later.ms = 650_000;
  looking.before = async () => void (await ask(Supervisor.Acquire({ model: "m" })));
  const { notes } = await ask(Supervisor.Acquire({ model: "large" }));
  const { models } = await ask(Supervisor.List({}));
  expect([notes, (models as { model: string }[]).map(({ model }) => model)]).toEqual([
    undefined,
    ["m", "large"],
  ]);
});

test("two who ask for one model at once have no more stopped for it than one", async () => {
  const { ask, busy, later } = house(loads);
  for (const model of ["m", "n"]) await ask(Supervisor.Acquire({ model }));
  busy.idleMs = 700_000;
  later.ms = 650_000;
  await Promise.all([1, 2].map(() => ask(Supervisor.Acquire({ model: "large" }))));
  const { models } = await ask(Supervisor.List({}));
  expect((models as { model: string }[]).map(({ model }) => model)).toEqual(["n", "large"]);
});

test("a model that nobody asks makes room for another machine's sake, one that is used or kept does not", async () => {
  const { ask, busy, later } = house(loads);
  for (const model of ["m", "kept"]) await ask(Supervisor.Acquire({ model }));
  const answers = [await ask(Supervisor.GiveWay({ model: "m" }))];
  busy.idleMs = 700_000;
  later.ms = 650_000;
  for (const model of ["kept", "m", "m"]) answers.push(await ask(Supervisor.GiveWay({ model })));
  const { models } = await ask(Supervisor.List({}));
  const notIdle = (model: string) => ({
    type: "SupervisorReply.Refused",
    problem: { kind: "unavailable", message: `${model} is not idle here any more` },
  });
  expect([answers, (models as { model: string }[]).map(({ model }) => model)]).toEqual([
    [notIdle("m"), notIdle("kept"), { type: "SupervisorReply.Stopped", model: "m" }, notIdle("m")],
    ["kept"],
  ]);
});

test("models to keep are known by every name that exo takes, and one that is not there is told", async () => {
  const told: string[] = [];
  const kept = await keptNames(["./m.gguf", "m", "org/other"], {
    async find(name) {
      if (name !== "org/other") return { name: "m" };
      throw new Problem("notFound", "org/other is not on this machine");
    },
    missing: (why) => told.push(why),
  });
  expect({ kept, told }).toEqual({
    kept: ["./m.gguf", "m", "org/other"],
    told: [
      "models.keep in exo.yaml names org/other, which keeps nothing yet: org/other is not on this machine",
    ],
  });
});
