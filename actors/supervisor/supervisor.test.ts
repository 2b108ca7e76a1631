import { expect, test } from "bun:test";
import { Problem } from "#protocol/problem";
import { ShardWorkerReply } from "#protocol/shard-worker";
import { Supervisor } from "#protocol/supervisor";
import type { Part } from "./placement/across.ts";
import type { Serving } from "./placement/serving.ts";
import { facts, house, loads } from "./test/house.ts";

test("two requests for one model share one worker", async () => {
  const { ask, workers } = house(loads);
  const answers = await Promise.all([1, 2].map(() => ask(Supervisor.Acquire({ model: "m" }))));
  expect({
    answers: answers.map(({ type, facts: held }) => ({ type, held })),
    workers: workers.length,
  }).toEqual({
    answers: Array(2).fill({ type: "SupervisorReply.Acquired", held: facts }),
    workers: 1,
  });
});

test("a name nobody knows is refused with the resolver's words", async () => {
  const { ask } = house(loads);
  expect(await ask(Supervisor.Acquire({ model: "nope" }))).toEqual({
    type: "SupervisorReply.Refused",
    problem: { kind: "notFound", message: "no model nope" },
  });
});

test("a load that fails is told, and the next request tries again", async () => {
  let fails = true;
  const { ask, workers } = house((order) =>
    fails
      ? ShardWorkerReply.LoadFailed({
          shard: order.shard,
          problem: { kind: "invalid", message: "truncated" },
        })
      : loads(order),
  );
  const first = await ask(Supervisor.Acquire({ model: "m" }));
  fails = false;
  const second = await ask(Supervisor.Acquire({ model: "m" }));
  expect({ first, second: second.type, workers: workers.length }).toEqual({
    first: { type: "SupervisorReply.Refused", problem: { kind: "invalid", message: "truncated" } },
    second: "SupervisorReply.Acquired",
    workers: 2,
  });
});

test("a worker that dies is reported and started again, until its budget is spent", async () => {
  const { ask, workers, lost } = house(loads);
  for (let death = 0; death < 4; death++) {
    await ask(Supervisor.Acquire({ model: "m" }));
    workers.at(-1)?.kill("it was ended by SIGKILL");
  }
  const listed = await ask(Supervisor.List({}));
  expect({ lost, starts: workers.length, models: listed.models }).toEqual({
    lost: [1, 2, 3, 4].map((start) => `node/worker-${start} crashed: m: it was ended by SIGKILL`),
    starts: 4,
    models: [],
  });
});

test("requests on a worker that waited for other machines in vain hear that it is lost, not that it crashed", async () => {
  const { ask, workers, lost } = house(loads);
  for (const how of ["lost", undefined] as const) {
    await ask(Supervisor.Acquire({ model: "m" }));
    workers.at(-1)?.kill("it ended", how);
  }
  expect(lost).toEqual(["node/worker-1 lost: m: it ended", "node/worker-2 crashed: m: it ended"]);
});

test("stop ends the worker and forgets the model; a second stop says it is not loaded", async () => {
  const { ask } = house(loads);
  await ask(Supervisor.Acquire({ model: "m" }));
  const stopped = await ask(Supervisor.Stop({ model: "m" }));
  const again = await ask(Supervisor.Stop({ model: "m" }));
  expect({ stopped, again }).toEqual({
    stopped: { type: "SupervisorReply.Stopped", model: "m" },
    again: {
      type: "SupervisorReply.Refused",
      problem: { kind: "notFound", message: "m is not loaded", remedy: "`exo ps` lists what is" },
    },
  });
});

test("the list says what is loading and what is ready", async () => {
  const { ask } = house((order) => (order.shard.model === "slow" ? undefined : loads(order)));
  void ask(Supervisor.Acquire({ model: "slow" })).catch(() => {});
  await ask(Supervisor.Acquire({ model: "m" }));
  const { models } = (await ask(Supervisor.List({}))) as unknown as {
    models: { model: string; state: string }[];
  };
  expect(models.map(({ model, state }) => `${model} ${state}`)).toEqual(["slow loading", "m ready"]);
});

test("stop lets answers under way end first, and takes no new request meanwhile", async () => {
  const { ask, busy, lost } = house(loads);
  await ask(Supervisor.Acquire({ model: "m" }));
  busy.requests = 1;
  const stopped = ask(Supervisor.Stop({ model: "m" }));
  const refused = await ask(Supervisor.Acquire({ model: "m" }));
  const listed = await ask(Supervisor.List({}));
  busy.idle();
  expect({ refused, states: statesOf(listed), stopped: await stopped, lost: lost.length }).toEqual({
    refused: {
      type: "SupervisorReply.Refused",
      problem: { kind: "unavailable", message: "m is being stopped" },
    },
    states: ["stopping"],
    stopped: { type: "SupervisorReply.Stopped", model: "m" },
    lost: 1,
  });
});

test("stop now waits for no answer; whoever still waits for one is told", async () => {
  const { ask, busy, lost } = house(loads);
  await ask(Supervisor.Acquire({ model: "m" }));
  busy.requests = 1;
  const gentle = ask(Supervisor.Stop({ model: "m" }));
  const stopped = await ask(Supervisor.Stop({ model: "m", now: true }));
  expect({ stopped, gentle: await gentle, lost }).toEqual({
    stopped: { type: "SupervisorReply.Stopped", model: "m" },
    gentle: { type: "SupervisorReply.Stopped", model: "m" },
    lost: ["node/worker-1 stopped: the model was stopped"],
  });
});

test("stop of a model that is not held looks on this machine only", async () => {
  const { ask, located } = house(loads);
  const answer = await ask(Supervisor.Stop({ model: "owner/far" }));
  expect({ answer, located }).toEqual({
    answer: {
      type: "SupervisorReply.Refused",
      problem: {
        kind: "notFound",
        message: "owner/far is not loaded",
        remedy: "`exo ps` lists what is",
      },
    },
    located: ["owner/far"],
  });
});

test("the home hears of an answer that goes on that it does, not that it is to be here", async () => {
  const asked: unknown[] = [];
  const home: Pick<Serving, "acquire" | "states"> = {
    acquire: async ({ here, resumes }) => void asked.push({ here, resumes }),
    states: () => [],
  };
  const { ask } = house(loads, () => home as Serving);
  for (const how of [{}, { resumes: true }, { here: true }])
    await ask(Supervisor.Acquire({ model: "m", ...how }));
  expect(asked).toEqual([{ resumes: false }, { resumes: true }, { here: true, resumes: false }]);
});

test("stop ends what this machine holds by itself beside what the home does, by any name of it, and where the home cannot agree to its part", async () => {
  const seen = ["m", "owner/m"].flatMap((name) =>
    [undefined, new Problem("unavailable", "no machine leads")].map(async (problem) => {
      const home: Pick<Serving, "acquire" | "states" | "stop"> = {
        acquire: async () => undefined,
        states: () => [],
        stop: () => (problem ? Promise.reject(problem) : Promise.resolve(true)),
      };
      const { ask } = house(loads, () => home as Serving);
      await ask(Supervisor.Acquire({ model: "m" }));
      const { type } = await ask(Supervisor.Stop({ model: name }));
      return [type, ...statesOf(await ask(Supervisor.List({})))];
    }),
  );
  const each = [["SupervisorReply.Stopped"], ["SupervisorReply.Refused"]];
  expect(await Promise.all(seen)).toEqual([...each, ...each]);
});

test("a worker that cannot be started fails the request, and the next one tries again", async () => {
  const { ask, refusesToStart } = house(loads);
  refusesToStart.reason = "ENOENT";
  const first = await ask(Supervisor.Acquire({ model: "m" }));
  refusesToStart.reason = "";
  const second = await ask(Supervisor.Acquire({ model: "m" }));
  expect({ first, second: second.type }).toEqual({
    first: {
      type: "SupervisorReply.Refused",
      problem: {
        kind: "unavailable",
        message: "m: its worker could not be started: Error: ENOENT",
        remedy: "send the request again; the model is loaded anew",
      },
    },
    second: "SupervisorReply.Acquired",
  });
});

test("what the home may hold is not loaded here while this machine's part in it is being started", async () => {
  let part: Part = "notNow";
  const { ask, workers, fetched } = house(loads, () => part);
  const answer = ask(Supervisor.Acquire({ model: "m" }));
  await new Promise((resolve) => setImmediate(resolve));
  const before = [workers.length, fetched.length];
  part = "alone";
  expect({ before, after: (await answer).type, workers: workers.length }).toEqual({
    before: [0, 0],
    after: "SupervisorReply.Acquired",
    workers: 1,
  });
});

test("an exo that is being ended loads nothing more, but answers with what it holds", async () => {
  let part: Part = "alone";
  const { ask, workers } = house(loads, () => part);
  await ask(Supervisor.Acquire({ model: "m" }));
  part = "ending";
  const answers = [
    await ask(Supervisor.Acquire({ model: "other", resumes: true })),
    await ask(Supervisor.Acquire({ model: "m" })),
  ];
  expect({ answers: answers.map(({ type, problem }) => problem ?? type), workers: workers.length }).toEqual({
    answers: [{ kind: "cancelled", message: "this exo is being ended" }, "SupervisorReply.Acquired"],
    workers: 1,
  });
});

test("nothing is fetched for an answer that was under way", async () => {
  const { ask, fetched } = house(loads);
  await ask(Supervisor.Acquire({ model: "m" }));
  await ask(Supervisor.Acquire({ model: "other", resumes: true }));
  expect(fetched).toEqual(["m"]);
});

const statesOf = ({ models }: Record<string, unknown>): readonly string[] =>
  (models as { state: string }[]).map(({ state }) => state);
