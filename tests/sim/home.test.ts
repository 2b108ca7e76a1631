/** Whole nodes on virtual time: joining, losing who leads, cuts, and what each sees of the others. */
import { describe, expect, test } from "bun:test";
import { ordered } from "#actors/supervisor/cluster/orders";
import { SimulatedHome } from "./home.ts";

async function homeOf(...names: readonly string[]): Promise<SimulatedHome> {
  const home = new SimulatedHome(11);
  const [first = "a", ...others] = names;
  await home.start(first);
  for (const name of others) await home.join(name, first);
  await home.time.pass(5000);
  return home;
}

/** Who leads, as each of the running machines sees it. */
async function leaders(home: SimulatedHome, ...viewers: readonly string[]): Promise<string[]> {
  const views = await Promise.all(viewers.map((viewer) => home.node(viewer).nodes()));
  return [...new Set(views.map((view) => view.find(({ leader }) => leader)?.name ?? "nobody"))];
}

const refusal = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "taken",
    (error: Error) => error.message,
  );

describe("a home of whole nodes", () => {
  test("grows machine by machine, and all see all", async () => {
    const home = await homeOf("a", "b", "c", "d");
    const views = [await home.view("a"), await home.view("b"), await home.view("d")];
    expect(views).toEqual([
      { a: "self*+", b: "up+", c: "up+", d: "up" },
      { a: "up*+", b: "self+", c: "up+", d: "up" },
      { a: "up*+", b: "up+", c: "up+", d: "self" },
    ]);
  });

  test("of two machines one votes; the other goes on alone when told to", async () => {
    const home = await homeOf("a", "b");
    const before = [await home.view("a"), await home.view("b")];
    expect(() => home.node("b").takeOver()).toThrow("a is up and votes: this home needs no takeover");
    home.kill("a");
    const deadMs = await home.msUntil(
      async () => (await home.view("b")).a?.startsWith("dead") === true,
      5000,
    );
    const dead = await home.view("b");
    await home.time.pass(5000 - deadMs);
    const alone = await home.view("b");
    const asked = refusal(home.node("b").set("x", "1"));
    const refused = await home.settled(asked);
    home.node("b").takeOver();
    await home.settled(home.node("b").change({ type: "rename", node: home.id("a"), name: "old" }));
    expect({ before, dead, alone, refused, after: await home.view("b") }).toEqual({
      before: [
        { a: "self*+", b: "up" },
        { a: "up*+", b: "self" },
      ],
      dead: { a: "dead+", b: "self" },
      alone: { a: "dead+", b: "self" },
      refused: "no machine leads this home now: too few of those that vote are up",
      after: { old: "dead", b: "self*+" },
    });
  });

  test("after a takeover the old voter follows when it comes back, and what only it knew is gone", async () => {
    const home = await homeOf("a", "b");
    home.wire.cut(home.id("a"), home.id("b"));
    home.wire.cut(home.id("b"), home.id("a"));
    await home.time.pass(4000);
    await home.settled(home.node("a").change({ type: "drain", node: home.id("b") }));
    await home.settled(home.node("a").set("only.here", "1"));
    home.node("b").takeOver();
    await home.settled(home.node("b").change({ type: "label", node: home.id("a"), labels: { lost: "no" } }));
    home.wire.heal();
    await home.passed(5000);
    const shown = async (name: string) =>
      (await home.node(name).nodes()).map(({ drained, labels, leader }) => [drained, labels, leader]);
    home.kill("a");
    await home.start("a");
    await home.passed(4000);
    expect({
      a: await shown("a"),
      b: await shown("b"),
      set: home.node("a").settings,
      said: home.troubles,
    }).toEqual({
      a: [
        [false, { lost: "no" }, false],
        [false, {}, true],
      ],
      b: [
        [false, {}, true],
        [false, { lost: "no" }, false],
      ],
      set: {},
      said: [],
    });
  });

  test("sees the death of who leads within 2 seconds, follows another within 5, and takes the old one back", async () => {
    const home = await homeOf("a", "b", "c", "d");
    home.kill("a");
    const others = ["b", "c", "d"];
    const seesDead = async () =>
      (await Promise.all(others.map((name) => home.view(name)))).every(({ a }) => a?.startsWith("dead"));
    const deadMs = await home.msUntil(seesDead, 10_000);
    const leadsMs = await home.msUntil(async () => {
      const found = await leaders(home, ...others);
      return found.length === 1 && found[0] !== "a" && found[0] !== "nobody";
    }, 10_000);
    await home.settled(home.node("d").change({ type: "rename", node: home.id("d"), name: "attic" }));
    await home.start("a");
    await home.time.pass(4000);
    const { attic, ...voting } = await home.view("a");
    expect({
      soon: deadMs <= 2000,
      led: deadMs + leadsMs <= 5000,
      attic,
      votes: Object.keys(voting).sort(),
    }).toEqual({
      soon: true,
      led: true,
      attic: "up",
      votes: ["a", "b", "c"],
    });
    expect(await leaders(home, "a", "b", "c", "d")).toHaveLength(1);
  });

  test("who leads hands over when it ends in order, and is away, not dead", async () => {
    const home = await homeOf("a", "b", "c");
    await home.settled(home.node("a").stop());
    home.machine("a").node = undefined;
    const ledMs = await home.msUntil(
      async () => (await leaders(home, "b", "c")).every((name) => /^[bc]$/.test(name)),
      5000,
    );
    expect({ soon: ledMs < 500, a: (await home.view("b")).a }).toEqual({ soon: true, a: "away+" });
  });

  test("one that missed more changes than the log keeps is sent the state as a whole", async () => {
    const home = await homeOf("a", "b", "c");
    home.kill("c");
    for (let count = 0; count < 30; count++) {
      const asked = Array.from({ length: 20 }, (_, i) => home.node("a").set(`s${i}`, String(count)));
      await home.settled(Promise.all(asked));
    }
    await home.start("c");
    await home.time.pass(3000);
    const all = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`s${i}`, "29"]));
    expect([home.node("c").settings, home.node("b").settings]).toEqual([all, all]);
  });

  test("T34 closes the links of a forgotten machine at once, and gives the others another discovery key", async () => {
    const home = await homeOf("a", "b", "c");
    const key = () => home.machine("b").disk.record?.discoveryKeys.at(-1)?.number;
    const before = key();
    await home.settled(home.node("b").change({ type: "forget", node: home.id("c") }));
    const closedMs = await home.msUntil(
      () => ["a", "b"].every((name) => !home.node(name).linked.includes(home.id("c"))),
      5000,
    );
    await home.time.pass(2000);
    expect({ closed: closedMs <= 1000, before, after: key(), view: await home.view("a") }).toEqual({
      closed: true,
      before: 1,
      after: 2,
      view: { a: "self*+", b: "up" },
    });
  });

  test("T1 a machine of a home with others joins no other, nor with a certificate of another", async () => {
    const home = await homeOf("a", "b");
    for (const name of ["y", "z"]) await home.start(name);
    const recordOf = (name: string) => {
      const { publicKey } = home.machine(name).identity;
      return home.settled(home.node("y").admit({ publicKey, name, addresses: [] }));
    };
    const [forB, record] = [await recordOf("b"), await recordOf("z")];
    expect([
      await refusal(home.node("b").adopt(forB)),
      await refusal(
        home.node("z").adopt({ ...record, nodePem: home.machine("z").disk.record?.nodePem ?? "" }),
      ),
    ]).toEqual([
      "this machine belongs to a home with other machines already",
      `the membership of ${home.id("z").slice(0, 8)} does not hold: its certificate is not signed by the cluster's key`,
    ]);
  });

  test("a machine that cannot keep its new membership stays what it was", async () => {
    const home = await homeOf("a");
    const { disk } = home.machine("z");
    await home.start("z");
    disk.isFull = true;
    const { publicKey } = home.machine("z").identity;
    const record = await home.settled(home.node("a").admit({ publicKey, name: "z", addresses: [] }));
    const refused = await home.settled(refusal(home.node("z").adopt(record)));
    await home.passed(5000);
    disk.isFull = false;
    await home.until(async () => (await home.view("z")).z === "self*+");
    await home.settled(home.node("z").set("still.mine", "1"));
    expect([refused, await home.view("z"), home.node("z").settings, home.troubles]).toEqual([
      "the disk is full",
      { z: "self*+" },
      { "still.mine": "1" },
      [
        "z: this machine cannot keep the cluster's log, and decides nothing until it can: the disk is full; free some space",
      ],
    ]);
  });

  test("a machine that was forgotten while its disk is full is on its own when there is room", async () => {
    const home = await homeOf("a", "b");
    const { disk } = home.machine("b");
    disk.isFull = true;
    await home.settled(home.node("a").change({ type: "forget", node: home.id("b") }));
    await home.until(() => home.troubles.includes("b: the disk is full; free some space"));
    disk.isFull = false;
    await home.until(async () => (await home.view("b")).b === "self*+");
    expect([
      await home.view("b"),
      home.troubles.filter((why) => /list of|b: the disk/.test(why)).slice(0, 2),
    ]).toEqual([
      { b: "self*+" },
      [
        "b: this machine was taken off its home's list of machines, and is on its own again; to bring it back: exo invite there, exo join CODE here",
        "b: the disk is full; free some space",
      ],
    ]);
  });

  test("a forgotten machine is told so, and is on its own again", async () => {
    const home = await homeOf("a", "b", "c");
    await home.settled(home.node("a").change({ type: "forget", node: home.id("c") }));
    await home.until(async () => (await home.view("c")).c === "self*+");
    expect({ view: await home.view("c"), said: home.troubles }).toEqual({
      view: { c: "self*+" },
      said: [
        "c: this machine was taken off its home's list of machines, and is on its own again; to bring it back: exo invite there, exo join CODE here",
      ],
    });
  });

  test("a machine that leads may leave, and the others go on", async () => {
    const home = await homeOf("a", "b", "c");
    await home.settled(ordered(home.node("a"), "a", { action: "forget" }));
    await home.until(async () => (await home.view("a")).a === "self*+");
    await home.passed(6000);
    await home.settled(ordered(home.node("c"), "b", { action: "label", labels: { room: "attic" } }));
    const labels = (await home.node("c").nodes()).find(({ name }) => name === "b")?.labels;
    const alone = (await home.view("b")).b;
    expect({ a: await home.view("a"), left: Object.keys(await home.view("b")), alone, labels }).toEqual({
      a: { a: "self*+" },
      left: ["b", "c"],
      alone: expect.stringContaining("self"),
      labels: { room: "attic" },
    });
  });

  test("T33 a cut home changes on the side of the majority alone, and agrees within 5 s after it heals", async () => {
    const home = await homeOf("a", "b", "c", "d", "e");
    const [few, many] = [
      ["a", "d"],
      ["b", "c", "e"],
    ];
    for (const x of few) for (const y of many) home.wire.cut(home.id(x), home.id(y));
    for (const x of few) for (const y of many) home.wire.cut(home.id(y), home.id(x));
    await home.time.pass(6000);
    const lost = refusal(home.node("a").change({ type: "drain", node: home.id("a") }));
    const kept = refusal(home.node("e").change({ type: "drain", node: home.id("b") }));
    const outcomes = [await home.settled(lost), await home.settled(kept)];
    home.wire.heal();
    const agreeing = async () => {
      const views = await Promise.all([...few, ...many].map((name) => home.node(name).nodes()));
      const told = views.map((view) =>
        JSON.stringify(view.map(({ node, leader, drained }) => [node, leader, drained]).sort()),
      );
      return new Set(told).size === 1;
    };
    const agreedMs = await home.msUntil(agreeing, 10_000);
    expect({ outcomes, soon: agreedMs <= 5000 }).toEqual({
      outcomes: [expect.stringContaining("no machine leads this home now"), "taken"],
      soon: true,
    });
  });
});
