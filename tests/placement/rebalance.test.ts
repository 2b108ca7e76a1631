/** A model that is ready moves to where it is faster, and stays where nothing is gained. */
import { expect, test } from "bun:test";
import type { PlacementWish } from "#protocol/placement";
import { speeds } from "./model.ts";
import { World } from "./world.ts";

function world() {
  const made = new World("a", "b", "c");
  for (const name of ["a", "b", "c"]) made.machine(name).speeds = [speeds(10e9)];
  return made;
}

test("a machine that has become much faster takes a part over, a little faster one does not", async () => {
  const home = world();
  await home.place({ minimumNodes: 2 });
  const before = home.shown;
  home.machine("c").speeds = [speeds(10.5e9)];
  const little = await home.rebalance();
  const stayed = home.shown === before;
  home.machine("c").speeds = [speeds(40e9)];
  const much = await home.rebalance();
  expect([before, little, stayed, much, home.shown]).toEqual([
    "ready a:0-2 b:2-4",
    false,
    true,
    true,
    expect.stringMatching(/^ready ([ab]:0-1 c:1-4|c:0-3 [ab]:3-4)$/),
  ]);
});

test("machines that are named are used whatever is gained, from then on", async () => {
  const home = world();
  await home.place({ nodes: ["a", "b"] });
  const same = await home.rebalance({ nodes: ["b", "a"], minimumNodes: 2 });
  const wish = home.instances[0]?.wish;
  const moved = await home.rebalance({ nodes: ["b", "c"] });
  const shown = home.shown;
  await home.is("b", "dead");
  expect([same, wish, moved, shown, home.shown, home.instances[0]?.wish]).toEqual([
    false,
    { nodes: ["b", "a"], minimumNodes: 2 },
    true,
    expect.stringMatching(/^ready (b:0-2 c:2-4|c:0-2 b:2-4)$/),
    "ready c:0-4",
    { nodes: ["b", "c"] },
  ]);
});

test("how hidden states go is changed on the machines that hold it, and stays so on those that are named then", async () => {
  const home = world();
  for (const name of ["a", "b", "c"]) home.machine(name).facts = { hidden: ["8bit"] };
  await home.place({ nodes: ["a", "b"] });
  const wishes: PlacementWish[] = [{ hidden: "8bit" }, { nodes: ["b", "c"] }, { hidden: "full" }];
  const seen = [];
  for (const wish of wishes) {
    await home.rebalance(wish);
    const [record] = home.instances;
    seen.push([record?.stages.map(({ node, hidden }) => `${node} ${hidden}`), record?.wish]);
  }
  expect(seen).toEqual([
    [["a 8bit", "b 8bit"], { nodes: ["a", "b"], hidden: "8bit" }],
    [["b 8bit", "c 8bit"], { nodes: ["b", "c"], hidden: "8bit" }],
    [["b undefined", "c undefined"], { nodes: ["b", "c"], hidden: "full" }],
  ]);
});

test("how hidden states go is changed on the machines that hold it also where others are faster, or fewer are left", async () => {
  const home = world();
  for (const name of ["a", "b", "c"]) home.machine(name).facts = { hidden: ["8bit"] };
  await home.place({ minimumNodes: 2 });
  home.machine("c").speeds = [speeds(40e9)];
  const seen = [await home.rebalance({ hidden: "8bit" }), home.shown, home.instances[0]?.wish];
  await home.is("b", "dead");
  await home.is("c", "dead");
  const left = [await home.rebalance({ hidden: "full" }), home.shown, home.instances[0]?.wish];
  expect([seen, left]).toEqual([
    [true, "ready a:0-2 b:2-4", { minimumNodes: 2, hidden: "8bit" }],
    [false, "ready a:0-4", { minimumNodes: 2, hidden: "full" }],
  ]);
});

test("a wish that cannot be any more, as a machine of it is gone, does not keep what is left from being faster", async () => {
  const home = world();
  home.machine("a").speeds = [speeds(40e9)];
  await home.place({ nodes: ["a", "b", "c"], minimumNodes: 3 });
  home.machine("a").freeBytes = 1e6;
  await home.is("c", "dead");
  const less = home.shown;
  const stays = await home.rebalance();
  home.machine("a").freeBytes = 4e9;
  expect([less, stays, await home.rebalance(), home.shown, home.instances[0]?.wish]).toEqual([
    "ready b:0-4",
    false,
    true,
    "ready a:0-4",
    { nodes: ["a", "b", "c"], minimumNodes: 3 },
  ]);
});

/** A part of the model is on b, which fetched it; a has all of it, and c too once it is up, but is slower. */
async function withFetched() {
  const home = world();
  home.machine("b").has = { kind: "notFound", message: "not here" };
  home.machine("b").speeds = [speeds(20e9)];
  home.machine("c").speeds = [speeds(5e9)];
  await home.is("c", "dead");
  await home.place({ minimumNodes: 2 });
  await home.is("c", "up");
  return home;
}

test("a machine that fetched its part is not left for a slower one that has the model on its disk", async () => {
  const home = await withFetched();
  const before = home.shown;
  const moved = await home.rebalance();
  expect([before, moved, home.shown]).toEqual([
    expect.stringMatching(/^ready [ab]:0-\d [ab]:\d-4$/),
    false,
    before,
  ]);
});

test("a worker that died has the model placed as it was, also where a part was fetched", async () => {
  const home = await withFetched();
  const before = home.shown;
  await home.becomes("a", { kind: "unavailable", message: "the worker ended" });
  await home.settle(1000);
  expect([home.shown, home.instances[0]?.epoch]).toEqual([before, 3]);
});

test("a machine that only cannot be asked now is not moved away from", async () => {
  const home = world();
  await home.place({ minimumNodes: 2 });
  const before = home.shown;
  home.machine("b").has = { kind: "unavailable", message: "b did not answer" };
  const unseen = [await home.rebalance(), home.shown];
  home.machine("b").drained = true;
  const drained = home.rebalance();
  await home.settle(3000);
  expect([unseen, await drained, home.shown]).toEqual([
    [false, before],
    expect.anything(),
    expect.stringMatching(/^ready ([ac]:\d-\d )[ac]:\d-4$/),
  ]);
});

test("what is not ready, not there, or does not fit is refused, and what is there stays", async () => {
  const home = world();
  const nothing = await home.rebalance();
  home.machine("b").outcome = undefined;
  await home.place({ nodes: ["a", "b"] });
  const early = await home.rebalance();
  await home.becomes("b", "loaded");
  home.machine("c").freeBytes = 1e6;
  const small = await home.rebalance({ nodes: ["c"] });
  const stayed = home.shown;
  const broken = world();
  broken.machine("b").outcome = { kind: "doesNotFit", message: "no memory" };
  await broken.place({ nodes: ["a", "b"] });
  await broken.settle(1000);
  const failed = await broken.rebalance();
  expect([nothing, early, String(small), stayed, failed]).toEqual([
    "no machines hold m together",
    "m is not ready yet: it is loading",
    expect.stringContaining("c by itself"),
    "ready a:0-2 b:2-4",
    expect.stringMatching(/^m failed: no memory/),
  ]);
});
