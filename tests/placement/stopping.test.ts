/** A model is stopped while it moves: whoever wants its end wants that of wherever it is by then. */
import { expect, test } from "bun:test";
import { Problem } from "#protocol/problem";
import { World } from "./world.ts";

test("a model that was just placed anew when it is stopped is stopped there", async () => {
  const world = new World("a", "b", "c");
  await world.place({ nodes: ["a", "b"], minimumNodes: 2 });
  let isNext = false;
  // A placement that was on its way comes into force first.
  world.disagrees = (command) => {
    const [record] = world.instances;
    if (isNext || command.does !== "drain" || !record) return undefined;
    isNext = true;
    const { id, epoch, model, digest, wish, settings } = record;
    const stages = record.stages.map(({ worker: _, ...stage }, at) => ({ ...stage, node: ["a", "c"][at] }));
    world.agreeNow({
      ...{ type: "instance", does: "place", id, after: epoch, model, digest, wish, settings },
      stages: stages as (typeof record.stages)[number][],
    });
    return new Problem("invalid", `epoch ${epoch} of instance ${id} is not the newest: ${world.index} is`);
  };
  const released = await world.release();
  await world.settle(5_000);
  expect([released, world.instances, world.machine("c").held]).toEqual(["released", [], []]);
});

test("a model that cannot be stopped now is not said to be asked for wrongly", async () => {
  const world = new World("a", "b");
  await world.place({ nodes: ["a", "b"], minimumNodes: 2 });
  world.disagrees = () => new Problem("unavailable", "no majority confirmed the change in time");
  const refused = await world.release();
  world.disagrees = () => undefined;
  await world.settle(5_000);
  expect([refused, world.shown]).toEqual(["no majority confirmed the change in time", "ready a:0-2 b:2-4"]);
});

test("where what is left has no room for a model of a drained machine, its answers end first, and then its parts", async () => {
  const world = new World("a", "b");
  await world.place({ nodes: ["a", "b"], minimumNodes: 2 });
  world.machine("a").freeBytes = 450e6;
  const answers = Promise.withResolvers<void>();
  world.ending = answers.promise;
  world.machine("b").drained = true;
  world.said.splice(0);
  await world.is("b", "up");
  const during = [world.shown, ...world.said];
  answers.resolve();
  await world.settle(1_000);
  expect([during, world.said.slice(during.length - 1), world.shown, world.machine("b").held]).toEqual([
    [
      "draining a:0-2 b:2-4",
      "m is placed anew: b is drained",
      expect.stringMatching(/^m is stopped once its answers end: .*b takes no part: drained$/),
      "b ends",
    ],
    ["a ends"],
    "",
    [],
  ]);
});
