/** Memory that is spoken for by a model which is placed already counts once, and while it is there. */
import { expect, test } from "bun:test";
import type { NodeId } from "#protocol/ids";
import { World } from "./world.ts";

const WISHES = { nodes: ["a", "b"], minimumNodes: 2 };

test("an idle model that another leader placed gives way also after a rebalance that moved nothing", async () => {
  const world = new World("a", "b");
  const machines = [...world.machines.values()];
  for (const machine of machines) machine.freeBytes = 650e6;
  await world.place(WISHES, undefined, "old");
  await world.newLeader();
  await world.settle(6000);
  for (const machine of machines) machine.partBytes = 330e6;
  const moved = await world.rebalance(undefined, "old");
  for (const machine of machines) machine.freeBytes = 320e6;
  for (const node of ["a", "b"]) await world.idles(node, true);
  await world.settle(10_000);
  const said = await world.place(WISHES);
  expect({ moved, said, models: world.instances.map(({ model }) => model) }).toEqual({
    moved: false,
    said: ["old was stopped for it, as nobody asked it anything"],
    models: ["m"],
  });
});

test("what was taken while the machines were asked is not given a second time", async () => {
  const world = new World("a", "b");
  const machines = [...world.machines.values()];
  for (const machine of machines) Object.assign(machine, { freeBytes: 650e6, outcome: undefined });
  await world.place({ minimumNodes: 2 }, undefined, "old");
  const slow = Promise.withResolvers<void>();
  world.slow = slow.promise;
  const question = { model: "m2", wish: { minimumNodes: 2 }, settings: { kvQuant: "f16" } } as const;
  const other = world.coordinator.place("a" as NodeId, question).then(
    () => "placed",
    ({ message }: Error) => message,
  );
  await world.settle();
  for (const node of ["a", "b"]) await world.loads(node);
  for (const machine of machines) machine.freeBytes = 100e6;
  await world.settle(6000);
  slow.resolve();
  await world.settle(10_000);
  expect(await other).toMatch(/^no plan fits/);
});
