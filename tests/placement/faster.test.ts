/** A model that one machine could hold by itself goes where it is answered much faster, and only by what was measured. */
import { expect, test } from "bun:test";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { FakeMachine } from "./fake-machine.ts";
import { checkpoint, MODEL, speeds } from "./model.ts";
import { World } from "./world.ts";

/** What comes of it where a asks, and b is so many times as fast. */
async function asked(times: number, changes: Record<string, Partial<FakeMachine>> = {}): Promise<unknown[]> {
  const home = new World("a", "b");
  home.machine("a").speeds = [speeds(10e9)];
  home.machine("b").speeds = [speeds(times * 10e9)];
  for (const [name, change] of Object.entries(changes)) Object.assign(home.machine(name), change);
  return [await home.placeFaster(), home.shown, ...home.said.filter((each) => each.endsWith("measures"))];
}

const STAYS = ["stays", ""];
const note = (times: string) => [
  `m is on b, predicted to answer ${times} times as fast as a (exo rebalance m --nodes a moves it there)`,
];

test("who is more than half again as fast has it, and whoever asked hears that; who is not leaves it there", async () => {
  expect([await asked(2), await asked(1.3), await asked(0.3)]).toEqual([
    [note("2.0"), "ready b:0-4"],
    STAYS,
    STAYS,
  ]);
});

test("what no machine measured of itself is measured first, and where that cannot be, it stays", async () => {
  const fast = { measures: speeds(40e9) };
  const slow = { measures: speeds(5e9), speeds: [] };
  expect([
    await asked(4, { a: { speeds: [] } }),
    await asked(4, { a: slow }),
    await asked(4, { a: slow, b: { speeds: [] } }),
    await asked(4, { a: slow, b: { ...fast, speeds: [] } }),
    await asked(4, { a: slow, b: { measures: speeds(6e9), speeds: [] } }),
  ]).toEqual([
    STAYS,
    [note("7.8"), "ready b:0-4", "a measures"],
    [...STAYS, "a measures"],
    [note("7.8"), "ready b:0-4", "a measures", "b measures"],
    [...STAYS, "a measures", "b measures"],
  ]);
});

test("who has no room, lacks it, has another, is drained, or does not answer in time has it not", async () => {
  const changes: Partial<FakeMachine>[] = [
    { freeBytes: 1e6 },
    { has: { kind: "notFound", message: "not here" } },
    { has: { ...checkpoint, digest: "other" } },
    { drained: true },
    { isDeaf: true },
  ];
  expect(await Promise.all(changes.map((b) => asked(4, { b })))).toEqual(changes.map(() => STAYS));
});

test("where the one that asks may take no part, or said nothing of what it has, nothing is compared", async () => {
  const changes: Partial<FakeMachine>[] = [{ drained: true }, { isDeaf: true }, { isNew: true }];
  expect(await Promise.all(changes.map((a) => asked(4, { a })))).toEqual(changes.map(() => STAYS));
});

test("what stands for speed is so for who asked: another goes along only where that is much faster for it too", async () => {
  const home = new World("a", "b", "c", "d");
  for (const [name, bytes] of [
    ["a", 10e9],
    ["b", 40e9],
    ["c", 10e9],
    ["d", 40e9],
  ] as const)
    Object.assign(home.machine(name), { speeds: [speeds(bytes)] });
  home.machine("d").drained = true;
  const first = await home.placeFaster("a");
  // What it takes there itself is no room that others lack.
  home.machine("b").freeBytes = 5e8;
  const before = home.index;
  const second = await home.placeFaster("c");
  home.machine("d").drained = false;
  const third = await home.placeFaster("d");
  expect([first, second, third, home.index - before]).toEqual([note("3.9"), [], "stays", 0]);
});

test("who asks goes along with what stands where that itself is much faster for it, not where another machine would be", async () => {
  const home = new World("a", "b", "c", "d");
  for (const [name, bytes] of [
    ["a", 5e9],
    ["b", 10e9],
    ["c", 12e9],
    ["d", 40e9],
  ] as const)
    Object.assign(home.machine(name), { speeds: [speeds(bytes)], drained: name > "b" });
  await home.placeFaster("a");
  const stood = home.shown;
  for (const name of ["c", "d"]) home.machine(name).drained = false;
  expect([stood, await home.placeFaster("c"), home.shown]).toEqual(["ready b:0-4", "stays", stood]);
});

test("what stands for speed with less context than a machine's settings allow is not for that machine", async () => {
  const home = new World("a", "b", "c");
  for (const [name, machine] of home.machines) machine.speeds = [speeds(name === "b" ? 40e9 : 10e9)];
  const asks = async (node: string, contextLength?: number) => {
    const settings = { kvQuant: "f16" as const, ...(contextLength && { contextLength }) };
    const answer = home.coordinator.placeFaster(node as NodeId, { model: MODEL, settings });
    await home.settle(30_000);
    return (await answer).type;
  };
  const seen = [await asks("a", 256), await asks("c", 128), await asks("c", 512), await asks("c")];
  expect(seen.map((type) => type.slice("PlacementReply.".length))).toEqual([
    "Placed",
    "Placed",
    "Stays",
    "Stays",
  ]);
});

test("what is stopped while another asks about it is held by that one, which could", async () => {
  const home = new World("a", "b", "c", "d");
  for (const [name, machine] of home.machines) machine.speeds = [speeds(name === "b" ? 40e9 : 10e9)];
  await home.placeFaster("a");
  home.machine("d").isDeaf = true;
  const asked = home.placeFaster("c");
  expect([await home.release(), await asked, home.shown]).toEqual(["released", "stays", ""]);
});

test("who runs on the computer of the one that asks is not looked at, as it has the same cores", async () => {
  const home = new World("a", "b");
  home.medium = "loopback";
  home.machine("a").speeds = [speeds(10e9)];
  home.machine("b").speeds = [speeds(40e9)];
  expect([await home.placeFaster(), home.shown]).toEqual(STAYS);
});

test("what is idle elsewhere is not stopped for speed", async () => {
  const alone = [{ model: "sea", bytes: 4e9, idleMs: 1e6 }];
  expect(await asked(4, { b: { freeBytes: 1e6, alone } })).toEqual(STAYS);
});

test("what the home agreed on meanwhile, or while nobody else was asked, is where it is", async () => {
  const home = new World("a", "b", "c");
  for (const name of ["a", "b", "c"]) home.machine(name).speeds = [speeds(name === "b" ? 40e9 : 10e9)];
  const named = home.place({ nodes: ["c"] });
  const answers = await Promise.all([home.placeFaster(), home.placeFaster("c"), named]);
  expect([answers, home.shown]).toEqual([[[], [], []], "ready c:0-4"]);
});

test("who asks for it anywhere while it is looked whether others are faster has it also where they are not", async () => {
  const home = new World("a", "b");
  for (const name of ["a", "b"]) home.machine(name).speeds = [speeds(10e9)];
  const first = home.placeFaster();
  const answers = await Promise.all([first, home.place()]);
  expect([answers, home.shown]).toEqual([["stays", []], expect.stringMatching(/^ready [ab]:0-4$/)]);
});

test("a question that waited for another decision for longer than whoever asked would is not decided any more", async () => {
  const home = new World("a", "b", "c");
  for (const name of ["a", "b", "c"]) home.machine(name).speeds = [speeds(name === "b" ? 40e9 : 10e9)];
  home.machine("c").isDeaf = true;
  const named = home.place({ nodes: ["c"], strategy: "single" });
  const answers = [await home.placeFaster(), await named];
  expect([answers, home.shown]).toEqual([
    [expect.stringContaining("did not come"), expect.stringContaining("it did not answer")],
    "",
  ]);
});

test("a placement that the home does not agree to is refused, and the next question finds the room free", async () => {
  const home = new World("a", "b");
  home.machine("a").speeds = [speeds(10e9)];
  Object.assign(home.machine("b"), { speeds: [speeds(40e9)], freeBytes: 9e8 });
  home.disagrees = () => new Problem("unavailable", "no majority");
  const refused = await home.placeFaster();
  home.disagrees = () => undefined;
  expect([refused, await home.placeFaster(), home.shown]).toEqual([
    "no majority",
    note("3.9"),
    "ready b:0-4",
  ]);
});

test("what stands for speed may be moved by whoever was told so, and binds nobody still where it is moved for speed again", async () => {
  const home = new World("a", "b", "c");
  for (const name of ["a", "b"]) home.machine(name).speeds = [speeds(name === "b" ? 40e9 : 10e9)];
  await home.placeFaster();
  const refused = await home.place({ nodes: ["a"] });
  home.machine("c").speeds = [speeds(90e9)];
  const moved = [await home.rebalance(), home.shown, home.instances[0]?.faster];
  const named = [await home.rebalance({ nodes: ["a"] }), home.shown];
  expect([refused, moved, named]).toEqual([
    "m is on 1 machine already, as it is faster there",
    [true, "ready c:0-4", true],
    [true, "ready a:0-4"],
  ]);
});

test("a model that failed there, and nobody asked for other machines, is compared again", async () => {
  const home = new World("a", "b");
  home.machine("a").speeds = [speeds(10e9)];
  Object.assign(home.machine("b"), {
    speeds: [speeds(40e9)],
    outcome: { kind: "invalid", message: "no such layer" },
  });
  home.machine("a").outcome = { kind: "invalid", message: "no such layer" };
  await home.placeFaster();
  const failed = home.shown;
  home.machine("b").outcome = "loads";
  await home.settle(120_000);
  expect([failed, await home.placeFaster(), home.shown]).toEqual([
    expect.stringContaining("failed"),
    note("3.9"),
    "ready b:0-4",
  ]);
});
