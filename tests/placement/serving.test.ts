/** What a machine does when its gateway asks for a model: alone, with others, and when they are gone. */
import { expect, test } from "bun:test";
import type { Address } from "#protocol/ids";
import type { PlacedInstance } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import { House, loading, ready, WORKER } from "./house.ts";
import { facts, me, other } from "./model.ts";

test("what one machine holds, or can hold alone, asks nobody; one that has others asks who leads whether these are faster", async () => {
  const alone = new House({ others: 0 });
  const held = new House({ isHeld: true });
  const roomy = new House();
  expect([await alone.acquire(), await held.acquire(), await roomy.acquire()]).toEqual(
    Array(3).fill("by itself"),
  );
  const asks = ["looks on the disk", "looks on the disk", "asks me whether others are faster"];
  expect([alone.did, held.did, roomy.did]).toEqual([[], [], asks]);
});

test("what does not fit here is placed by who leads, and answers once all of it is loaded", async () => {
  const house = new House({ fits: false });
  const asked = house.acquire();
  await house.pass(500);
  house.instances = [ready];
  await house.pass(500);
  expect([await asked, house.did]).toEqual([WORKER, ["looks on the disk", "asks me to place it"]]);
});

test("a model that failed where it was asked for is placed again by who leads, and held by one machine only if nobody asked for others", async () => {
  const problem = { kind: "unavailable", message: "the worker ended" } as const;
  const answers = [{ nodes: [me, other] }, {}].map(async (wish) => {
    const house = new House({ instances: [{ ...ready, state: "failed", wish, problem }] });
    house.refusals = [new Problem("doesNotFit", "no plan fits m")];
    return [await house.acquire(), house.did.at(-1)];
  });
  expect(await Promise.all(answers)).toEqual([
    ["no plan fits m", "asks me to place it"],
    ["by itself", "asks me whether others are faster"],
  ]);
});

test("a model that lost a machine is waited for until it is placed anew, and its requests are told", async () => {
  const house = new House({ instances: [ready] });
  const before = await house.acquire();
  house.up.delete(other);
  house.serving.follow();
  const asked = house.acquire();
  await house.pass(3000);
  house.instances = [
    {
      ...ready,
      epoch: 2,
      stages: [{ ...ready.stages[0], worker: "me/worker-2" as Address }],
    } as PlacedInstance,
  ];
  await house.pass(200);
  expect([before, await asked, house.did.filter((each) => each.includes("lost"))]).toEqual([
    WORKER,
    "me/worker-2",
    ["other/worker-1 lost: the model went away: other is not there"],
  ]);
});

const WHY = "other is not there, and too few that vote are up to place m anew";

test("where nobody leads any more, a machine that can hold the model does so by itself", async () => {
  const [can, cannot] = [true, false].map((fits) => new House({ instances: [ready], fits, leader: other }));
  if (!can || !cannot) throw new Error("two houses");
  const answers = [can, cannot].map(async (house) => {
    house.up.delete(other);
    const asked = house.acquire();
    await house.pass(6000);
    const [{ state, problem } = {}] = house.serving.states();
    return [await asked, house.did.at(-1), state, problem?.message];
  });
  expect(await Promise.all(answers)).toEqual([
    ["by itself", "gives up its own part", "failed", WHY],
    [WHY, "looks on the disk", "failed", WHY],
  ]);
});

test("a worker out of reach is told of, one that was stopped as stopped", async () => {
  const [broken, stopped] = [new House({ instances: [ready] }), new House({ instances: [ready] })];
  await Promise.all([broken.acquire(), stopped.acquire()]);
  broken.breakLink();
  await broken.pass(1000);
  stopped.breakLink();
  stopped.instances = [];
  stopped.serving.follow();
  await stopped.pass(1000);
  expect([broken, stopped].map(({ did }) => did.filter((each) => each.includes("lost")))).toEqual([
    ["other/worker-1 lost: the model went away: its link broke"],
    ["other/worker-1 lost: the model went away: it was stopped, stopped"],
  ]);
});

test("a worker out of reach is told of at once when its model is placed anew: nobody wanted its end", async () => {
  const house = new House({ instances: [ready] });
  await house.acquire();
  house.breakLink();
  await house.pass(50);
  house.instances = [{ ...ready, epoch: ready.epoch + 1 }];
  house.serving.follow();
  const told = () => house.did.filter((each) => each.includes("lost"));
  const soon = told();
  await house.pass(1000);
  const once = ["other/worker-1 lost: the model went away: its link broke"];
  expect({ soon, later: told() }).toEqual({ soon: once, later: once });
});

test("a link that breaks for a moment costs an answer less than two seconds", async () => {
  const house = new House({ instances: [ready] });
  await house.acquire();
  house.breakLink();
  await house.pass(200);
  house.isLinked = true;
  await house.pass(300);
  const told = house.did.at(-1);
  const resumed = house.acquire({ lost: { worker: WORKER, isOut: true } });
  let name: string | undefined;
  void resumed.then((worker) => (name = worker));
  await house.pass(1000);
  expect([told, name]).toEqual(["other/worker-1 lost: the model went away: its link broke", WORKER]);
});

test("a worker is not named to anybody in the moment in which its loss is told", async () => {
  const house = new House({ instances: [ready] });
  await house.acquire();
  house.breakLink();
  house.isLinked = true;
  let name: string | undefined;
  void house.acquire().then((worker) => (name = worker));
  await house.pass(400);
  const early = name;
  await house.pass(300);
  expect([early, name, house.did.filter((each) => each.includes("lost")).length]).toEqual([
    undefined,
    WORKER,
    1,
  ]);
});

test("a worker that gave a request back is named to it again once it is placed anew, or after 15 s", async () => {
  const house = new House({ instances: [ready] });
  await house.acquire();
  let name: string | undefined;
  void house.acquire({ lost: { worker: WORKER, isOut: false } }).then((worker) => (name = worker));
  await house.pass(14_000);
  const early = name;
  await house.pass(2_000);
  expect([early, name]).toEqual([undefined, WORKER]);
});

test("a worker that goes on in the next placement is named at once to those who lost it in the one before", async () => {
  const answers: (string | undefined)[] = [];
  for (const isOut of [false, true]) {
    const house = new House({ instances: [ready] });
    await house.acquire();
    let name: string | undefined;
    void house.acquire({ lost: { worker: WORKER, isOut } }).then((worker) => (name = worker));
    await house.pass(100);
    answers.push(name);
    house.instances = [{ ...ready, epoch: ready.epoch + 1 }];
    house.serving.follow();
    await house.pass(200);
    answers.push(name);
  }
  expect(answers).toEqual([undefined, WORKER, undefined, WORKER]);
});

test("a model that stands after it was to be stopped is told of", async () => {
  const [agreed, refused] = [new House({ instances: [ready] }), new House({ instances: [ready] })];
  agreed.refusals = [new Problem("unavailable", "the link broke")];
  const stops = [agreed, refused].map((house) =>
    house.serving.stop("m", true).catch(({ message }: Error) => message),
  );
  await agreed.pass(500);
  agreed.instances = [];
  await Promise.all([agreed.pass(500), refused.pass(11_000)]);
  expect(await Promise.all(stops)).toEqual([true, "m was to be stopped, and the home has not agreed to it"]);
});

test("so many may wait for a model, with one listener for all, and whoever leaves makes room", async () => {
  const house = new House({ instances: [loading] });
  const leaving = new AbortController();
  const left = house.acquire({ left: leaving.signal });
  const others = Array.from({ length: 1023 }, () => house.acquire());
  await house.pass(100);
  const listeners = house.listeners;
  const tooMany = await house.acquire();
  leaving.abort();
  const told = await left;
  const last = house.acquire();
  house.instances = [ready];
  await house.pass(200);
  expect({
    listeners,
    tooMany,
    told,
    answers: new Set(await Promise.all([...others, last])),
    after: house.listeners,
  }).toEqual({
    listeners: 1,
    tooMany: "1024 requests already wait for m",
    told: "whoever waited for m has left",
    answers: new Set([WORKER]),
    after: 0,
  });
});

test("a wish is placed even where the model fits here, and says which machines take no part", async () => {
  const house = new House();
  const asked = house.serving.acquire({
    model: "m",
    wish: { minimumNodes: 2 },
    isHeld: () => true,
    idleBytes: () => 0,
  });
  await house.pass(200);
  house.instances = [ready];
  await house.pass(200);
  expect(await asked).toEqual({ worker: WORKER, facts, notes: ["third takes no part: drained"] });
});

test("what finds no room in the home is held by this machine alone, where models that nobody asks give way", async () => {
  const outcomes: unknown[] = [];
  for (const idleBytes of [0, 1e9]) {
    const house = new House({ fits: false });
    house.idleBytes = idleBytes;
    house.refusals = [new Problem("doesNotFit", "m takes too much")];
    const asked = house.acquire();
    await house.pass(200);
    outcomes.push(await asked);
  }
  expect(outcomes).toEqual(["m takes too much", "by itself"]);
});

test("only the machine with the last stage, to which requests come, says that a model is idle", () => {
  const house = new House({ instances: [ready] });
  house.state = { model: "m", path: "/m", state: "ready", requests: 0, pid: 7, idle: true };
  const first = house.serving.states();
  house.instances = [{ ...ready, stages: ready.stages.toReversed() }];
  const last = house.serving.states();
  expect([first, last].map(([state]) => [state?.pid, state?.idle])).toEqual([
    [7, undefined],
    [7, true],
  ]);
});

test("a machine that was told why its worker could not meet the others says so until the model is ready", () => {
  const house = new House({ instances: [loading] });
  house.state = { model: "m", path: "/m", state: "ready", requests: 0, unmet: "not now" };
  const before = house.serving.states();
  house.instances = [ready];
  const after = house.serving.states();
  expect([before, after].map(([state]) => [state?.state, state?.unmet])).toEqual([
    ["loading", "not now"],
    ["ready", undefined],
  ]);
});
