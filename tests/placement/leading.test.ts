/** Who leads is deposed, refused, blind or started again in the middle of what it does: nothing of it hurts what the home agreed on. */
import { expect, test } from "bun:test";
import { Problem, type ProblemBody } from "#protocol/problem";
import { World } from "./world.ts";

const BROKE: ProblemBody = { kind: "unavailable", message: "the worker ended" };
const LATE = new Problem(
  "unavailable",
  "no majority confirmed the change in time: it may still come into force",
);
const BEFORE = new Problem("unavailable", "another leader's change came first: look, and try again");

/** A home of these machines with the model on all of them. */
async function homeOf(...names: readonly string[]): Promise<World> {
  const world = new World(...names);
  await world.place({ nodes: [...names], minimumNodes: names.length });
  return world;
}

test("who led before does not place what is placed anew since it leads again, and fails nothing", async () => {
  const world = await homeOf("a", "b", "c");
  const slow = Promise.withResolvers<void>();
  world.slow = slow.promise;
  await world.is("b", "dead");
  await world.deposed({ again: true });
  slow.resolve();
  await world.settle(5000);
  // Placed, ready, placed anew, ready: nothing else was ever said to the home.
  expect([world.shown.split(" ")[0], world.instances[0]?.epoch, world.index]).toEqual(["ready", 3, 4]);
});

test("a placement that the home does not agree to, or only later, is no fault of the model", async () => {
  const worlds = [await homeOf("a", "b"), await homeOf("a", "b")] as const;
  const [refused, late] = worlds;
  const answers = [BEFORE, LATE];
  refused.disagrees = ({ does }) => (does === "place" ? answers.pop() : undefined);
  late.disagrees = (command) => {
    late.disagrees = () => undefined;
    void late.agree(command);
    return LATE;
  };
  for (const world of worlds) {
    await world.is("b", "dead");
    await world.settle(5000);
  }
  expect(worlds.map(({ shown, index }) => [shown, index])).toEqual(Array(2).fill(["ready a:0-4", 4]));
});

test("a ready that the home confirms late costs no load", async () => {
  const world = new World("a", "b");
  world.disagrees = (command) => {
    if (command.does !== "ready") return undefined;
    world.disagrees = () => undefined;
    void world.agree(command);
    return LATE;
  };
  await world.place({ nodes: ["a", "b"] });
  await world.settle(3000);
  expect([world.shown, world.instances[0]?.epoch]).toEqual(["ready a:0-2 b:2-4", 1]);
});

test("a failure that the home does not hear of is told again", async () => {
  const world = await homeOf("a", "b");
  for (const machine of world.machines.values()) machine.freeBytes = 450e6;
  let refusals = 3;
  world.disagrees = ({ does }) => (does === "fail" && refusals-- > 0 ? LATE : undefined);
  await world.is("b", "dead");
  await world.settle(20_000);
  expect([world.shown.split(":")[0], refusals]).toEqual(["failed", -1]);
});

test("stages are ended only once the home agreed to the end, and who asked hears if it did not", async () => {
  const [refused, deposed] = [await homeOf("a", "b"), await homeOf("a", "b")];
  for (const world of [refused, deposed]) world.said.splice(0);
  refused.disagrees = ({ does }) => (does === "drain" ? LATE : undefined);
  const answer = await refused.release();
  await refused.settle(2000);
  const hangs = Promise.withResolvers<void>();
  deposed.ending = hangs.promise;
  const asked = deposed.release();
  await deposed.deposed({ again: false });
  expect([answer, refused.said, refused.shown, await asked, deposed.shown]).toEqual([
    LATE.message,
    [],
    "ready a:0-2 b:2-4",
    "this machine does not lead the cluster now",
    "draining a:0-2 b:2-4",
  ]);
});

test("who is deposed before the home agreed says so, whatever it would have said, and is asked no more", async () => {
  const answers: unknown[] = [];
  for (const again of [false, true]) {
    const [unconfirmed, full] = [new World("a", "b"), new World("a", "b")];
    unconfirmed.disagrees = () => LATE;
    for (const machine of full.machines.values()) machine.freeBytes = 1e6;
    for (const world of [unconfirmed, full]) {
      const slow = Promise.withResolvers<void>();
      world.slow = slow.promise;
      const asked = world.place({ nodes: ["a", "b"] });
      await world.deposed({ again });
      slow.resolve();
      await world.settle(20_000);
      answers.push(await asked);
    }
  }
  expect(answers).toEqual(Array(4).fill("this machine does not lead the cluster now"));
});

test("a model that is stopped while its workers meet is not made ready any more", async () => {
  const world = new World("a", "b");
  const meeting = Promise.withResolvers<void>();
  world.joining = meeting.promise;
  await world.place({ nodes: ["a", "b"] });
  const ends = Promise.withResolvers<void>();
  world.ending = ends.promise;
  const asked = world.release();
  await world.settle(100);
  meeting.resolve();
  await world.settle(100);
  const during = [world.shown, world.index];
  ends.resolve();
  await world.settle(100);
  expect([during, world.shown, await asked]).toEqual([["draining a:0-2 b:2-4", 2], "", "released"]);
});

test("a look at the home that came to nothing is followed by others", async () => {
  const world = await homeOf("a", "b");
  world.blind = 2;
  await world.is("b", "dead");
  await world.settle(6000);
  expect([world.shown, world.said.filter((line) => line.includes("could not be looked at")).length]).toEqual([
    "ready a:0-4",
    2,
  ]);
});

test("who begins anew to look after models asks what machines hold, in the middle of a load too", async () => {
  const world = new World("a", "b");
  world.machine("b").outcome = undefined;
  await world.place({ nodes: ["a", "b"] });
  await world.restart();
  await world.becomes("b", "loaded");
  const ready = [world.shown, world.instances[0]?.epoch];
  await world.restart();
  await world.deposed({ again: true });
  await world.settle(5000);
  expect([ready, world.shown, world.instances[0]?.epoch]).toEqual([
    ["ready a:0-2 b:2-4", 1],
    "ready a:0-2 b:2-4",
    1,
  ]);
});

test("a machine that nobody has seen since this one leads is waited for ten seconds, and then does without", async () => {
  const states = [];
  for (const loads of [true, false]) {
    const world = new World("a", "b");
    if (!loads) world.machine("b").outcome = undefined;
    await world.place({ nodes: ["a", "b"] });
    world.machine("b").state = "connecting";
    await world.newLeader();
    await world.settle(9000);
    const before = world.shown;
    await world.settle(12_000);
    states.push([before, world.shown]);
  }
  expect(states).toEqual([
    ["ready a:0-2 b:2-4", "ready a:0-4"],
    [
      "loading a:0-2 b:2-4",
      expect.stringMatching(/^failed: b does not answer; no plan fits .* 2 machines are needed/),
    ],
  ]);
});

test("a machine that is silent for a moment while a model is placed is waited for, one that is dead for long is not", async () => {
  const outcomes: unknown[] = [];
  for (const [state, silentMs] of [["suspect"], ["stuck", 1500], ["dead", 1500], ["dead", 60_000]] as const) {
    const world = new World("a", "b");
    Object.assign(world.machine("b"), { state, silentMs });
    const asked = world.place({ nodes: ["a", "b"] });
    await world.settle(3000);
    await world.is("b", "up");
    await world.settle(1000);
    outcomes.push([world.shown, String(await asked).slice(0, 12)]);
  }
  const placed = ["ready a:0-2 b:2-4", ""];
  expect(outcomes).toEqual([placed, placed, placed, ["", "no plan fits"]]);
});

test("a model whose ready another leader had begun goes on with fewer machines than were wished for", async () => {
  const world = new World("a", "b");
  world.machine("b").outcome = undefined;
  await world.place({ nodes: ["a", "b"] });
  const [record] = world.instances;
  if (!record) throw new Error("it was placed");
  const { id, epoch } = record;
  const stages = record.stages.map((stage) => ({
    ...stage,
    worker: `${stage.node}/worker-${epoch}` as never,
  }));
  await world.agree({ type: "instance", does: "ready", id, epoch, stages });
  world.machine("b").state = "dead";
  await world.is("b", "dead");
  await world.settle(1000);
  expect(world.shown).toEqual("ready a:0-4");
});

test("a new leader finds a model that is being placed anew, and goes on with fewer machines for it", async () => {
  const world = await homeOf("a", "b", "c");
  for (const name of ["a", "c"]) Object.assign(world.machine(name), { outcome: undefined, freeBytes: 500e6 });
  await world.is("b", "dead");
  const during = world.shown;
  await world.newLeader();
  world.machine("a").freeBytes = 4e9;
  await world.is("c", "dead");
  world.machine("a").outcome = "loads";
  await world.becomes("a", "loaded");
  await world.settle(3000);
  expect([during, world.shown]).toEqual(["loading a:0-2 c:2-4", "ready a:0-4"]);
});

test("a model that failed is tried once by each who asks for it within a minute, not four times", async () => {
  const world = await homeOf("a", "b");
  world.machine("a").freeBytes = 400e6;
  world.machine("b").freeBytes = 600e6;
  for (let death = 0; death < 4; death++) {
    await world.becomes("b", BROKE);
    await world.settle(6000);
  }
  const failed = world.shown;
  for (const machine of world.machines.values()) machine.freeBytes = 700e6;
  await world.place({ nodes: ["a", "b"], minimumNodes: 2 });
  const again = world.shown;
  await world.becomes("b", BROKE);
  await world.settle(1000);
  expect([failed, again, world.shown]).toEqual([
    "failed: the worker ended",
    "ready a:0-2 b:2-4",
    "failed: the worker ended",
  ]);
});

test("two who ask at once get one placement if they wish the same, and a word if not", async () => {
  const [same, other] = [new World("a", "b", "c"), new World("a", "b", "c")];
  const both = async (world: World, ...nodes: readonly (readonly string[])[]) =>
    await Promise.all(nodes.map((each) => world.place({ nodes: [...each] })));
  expect([
    await both(same, ["a", "b"], ["a", "b"]),
    same.index,
    await both(other, ["a", "b"], ["a", "c"]),
    other.shown,
  ]).toEqual([
    [[], []],
    2,
    [[], "m is on 2 machines already, as it was asked for before"],
    "ready a:0-2 b:2-4",
  ]);
});

test("a model that is stopped while it is decided where it goes does not come up afterwards", async () => {
  const world = new World("a", "b");
  const slow = Promise.withResolvers<void>();
  world.slow = slow.promise;
  const placed = world.place({ nodes: ["a", "b"] });
  const released = world.release();
  await world.settle(100);
  slow.resolve();
  await world.settle(100);
  expect([await placed, await released, world.shown]).toEqual([[], "released", ""]);
});
