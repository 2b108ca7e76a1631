/** Machines that compute and have no say, on virtual time: none of them votes, leads, signs or changes anything. */
import { expect, test } from "bun:test";
import { ordered } from "#actors/supervisor/cluster/orders";
import { homeStorm } from "./home-storm.ts";
import { RotatingHome } from "./rotating-home.ts";

const TEST_MS_MAX = 120_000;

const refusal = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "done",
    (error: Error) => error.message,
  );

const NO_SAY = "this machine is a worker of its home, which changes nothing about it";
const NO_HEIR = "this machine alone votes in this home, and no other can vote in its place now";

async function toRole(home: RotatingHome, name: string, role: "full" | "worker"): Promise<string> {
  const done = await refusal(
    home.settled(home.node("a").change({ type: "role", node: home.id(name), role })),
  );
  await home.passed(6000);
  return done;
}

test(
  "who held the key and becomes a worker has it no more, its vote goes to another, and it has no say until it is full again",
  async () => {
    const home = await RotatingHome.of("a", "b", "c", "d");
    const { keyed, plain } = home;
    const before = await home.view("a");
    const done = await toRole(home, keyed, "worker");
    const node = home.node(keyed);
    const asWorker = {
      view: await home.view("a"),
      admits: node.mayAdmit,
      sets: await refusal(node.set("a", "b")),
      changes: await refusal(node.change({ type: "drain", node: home.id("a") })),
      key: home.machine(keyed).disk.record?.clusterNumber,
    };
    await toRole(home, keyed, "full");
    expect({
      done,
      before,
      ...asWorker,
      after: await refusal(home.settled(home.node(keyed).set("a", "b"))),
    }).toEqual({
      done: "done",
      before: { a: "self*+", [keyed]: "up+", [plain]: "up", [another(home, keyed, plain)]: "up+" },
      view: { a: "self*+", [keyed]: "up", [plain]: "up+", [another(home, keyed, plain)]: "up+" },
      admits: false,
      sets: NO_SAY,
      changes: NO_SAY,
      key: 2,
      after: "done",
    });
  },
  TEST_MS_MAX,
);

const another = (home: RotatingHome, ...but: readonly string[]): string =>
  [...home.machines.keys()].find((name) => name !== "a" && !but.includes(name)) ?? "";

test(
  "who leads becomes a worker after another leads",
  async () => {
    const home = await RotatingHome.of("a", "b", "c", "d");
    const done = await toRole(home, "a", "worker");
    const view = await home.view("a");
    expect({
      done,
      self: view.a,
      leads: Object.values(view).filter((state) => state.includes("*")).length,
      votes: Object.values(view).filter((state) => state.includes("+")).length,
      keys: new Set(home.numbers),
    }).toEqual({ done: "done", self: "self", leads: 1, votes: 3, keys: new Set([2]) });
  },
  TEST_MS_MAX,
);

test(
  "a home keeps one machine that can change it",
  async () => {
    const home = await RotatingHome.of("a", "b");
    const first = [await toRole(home, "b", "worker"), await toRole(home, "a", "worker")];
    const left = await refusal(home.settled(ordered(home.node("a"), "a", { action: "forget" })));
    home.kill("a");
    await home.passed(8000);
    expect({
      first,
      left,
      takeover: await refusal((async () => home.node("b").takeOver())()),
    }).toEqual({
      first: ["done", "only workers would be left in this home, and nobody who can change it"],
      left: "only workers would be left in this home, and nobody who can change it",
      takeover: NO_SAY,
    });
  },
  TEST_MS_MAX,
);

test.each(["forget", "worker"] as const)(
  "the only one that votes has its vote taken by another first: %s",
  async (what) => {
    const home = await RotatingHome.of("a", "b", "c", "d");
    for (const name of ["c", "d"]) await toRole(home, name, "worker");
    const before = await home.view("a");
    const done = what === "worker" ? await toRole(home, "a", what) : await refusal(home.forget("b", "a"));
    await home.passed(6000);
    const { b } = await home.view("b");
    expect({ before, done, b, set: await refusal(home.settled(home.node("b").set("a", "b"))) }).toEqual({
      before: { a: "self*+", b: "up", c: "up", d: "up" },
      done: "done",
      b: "self*+",
      set: "done",
    });
  },
  TEST_MS_MAX,
);

test(
  "the only one that votes stays while nobody can vote in its place, and leaves by itself all the same",
  async () => {
    const home = await RotatingHome.of("a", "b", "c", "d");
    for (const name of ["c", "d"]) await toRole(home, name, "worker");
    home.kill("b");
    await home.passed(3000);
    const taken = [await refusal(home.forget("a", "a")), await toRole(home, "a", "worker")];
    const view = await home.view("a");
    await home.settled(ordered(home.node("a"), "a", { action: "forget" }));
    expect({ taken, view, after: await home.view("a") }).toEqual({
      taken: [NO_HEIR, NO_HEIR],
      view: { a: "self*+", b: "dead", c: "up", d: "up" },
      after: { a: "self*+" },
    });
  },
  TEST_MS_MAX,
);

test(
  "a worker that still votes, as nobody could take its seat, gives its vote to another until somebody does",
  async () => {
    const home = await RotatingHome.of("a", "b", "c");
    home.kill("b");
    await home.passed(3000);
    const done = await toRole(home, "c", "worker");
    home.kill("a");
    await home.start("a");
    await home.passed(6000);
    expect({ done, view: await home.view("a") }).toEqual({
      done: "done",
      view: { a: "self*+", b: "connecting+", c: "up+" },
    });
  },
  TEST_MS_MAX,
);

test(
  "a machine is let in as a worker, and leaves by itself",
  async () => {
    const home = await RotatingHome.of("a", "b", "c");
    await home.start("e");
    const { publicKey } = home.machine("e").identity;
    const joiner = { publicKey, name: "e", addresses: [`${home.id("e")}:1`], role: "worker" } as const;
    const record = await home.settled(home.node("a").admit(joiner));
    await home.settled(home.node("e").adopt(record));
    await home.passed(5000);
    const view = (await home.node("e").nodes()).map(({ name, role, voter }) => [name, role, voter]);
    const keys = home.numbers;
    await home.settled(ordered(home.node("e"), "e", { action: "forget" }));
    await home.passed(2000);
    expect({ view, keys, alone: await home.view("e"), others: (await home.view("a")).e }).toEqual({
      view: [
        ["e", "worker", false],
        ["a", undefined, true],
        ["b", undefined, true],
        ["c", undefined, true],
      ],
      keys: [1, 1, 1, 1],
      alone: { e: "self*+" },
      others: "away",
    });
  },
  TEST_MS_MAX,
);

test(
  "in storms workers come and go as others do, and never vote or lead; what was confirmed stays",
  async () => {
    const violations: object[] = [];
    let did = 0;
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const storm = await homeStorm(seed, 6, { workers: 2 });
      did += storm.did;
      if (storm.violations.length > 0) violations.push({ seed, why: storm.violations });
    }
    expect(violations).toEqual([]);
    expect(did).toBeGreaterThan(50);
  },
  TEST_MS_MAX,
);

test(
  "a worker that has not heard that it is one is told so at once when it asks for a change",
  async () => {
    const home = await RotatingHome.of("a", "b", "c");
    const [a, b] = [home.id("a"), home.id("b")];
    // What is agreed does not reach it; what it says arrives.
    home.wire.heard = (from, { to, message }) =>
      from !== a || !to.startsWith(b) || message.type !== "Raft.Append";
    await home.settled(home.node("a").change({ type: "role", node: b, role: "worker" }));
    const startMs = home.time.nowMs;
    const said = await refusal(home.settled(home.node("b").set("a", "b")));
    expect({ said, soon: home.time.nowMs - startMs < 1000 }).toEqual({ said: NO_SAY, soon: true });
  },
  TEST_MS_MAX,
);

test(
  "a machine that was given a say and leads by now is believed by one that has not heard of it",
  async () => {
    const home = await RotatingHome.of("a", "b", "c", "d");
    for (const name of ["b", "c"]) await toRole(home, name, "worker");
    for (const name of ["a", "d"]) {
      home.wire.cut(home.id(name), home.id("b"));
      home.wire.cut(home.id("b"), home.id(name));
    }
    await toRole(home, "c", "full");
    home.kill("a");
    // Until the other that votes does not lead.
    for (let turn = 0; turn < 20 && !(await home.view("c")).c?.includes("*"); turn++) {
      home.kill("d");
      await home.start("d");
      await home.passed(5000);
    }
    await home.passed(3000);
    const { b, c } = await home.view("b");
    expect({ b, c }).toEqual({ b: "self", c: "up*+" });
  },
  TEST_MS_MAX,
);

test(
  "a worker that led while it became one passes on what it alone holds, and the home goes on when the other that holds it is lost",
  async () => {
    const { violations } = await homeStorm(194551579, 5, { workers: 1 });
    expect(violations).toEqual([]);
  },
  TEST_MS_MAX,
);

test(
  "of two workers whose seats nobody could take neither makes the other lead: who is none does, once it is back",
  async () => {
    const home = new RotatingHome(23);
    const [first = "a", ...others] = "abcdefghijklmnopqrst";
    await home.pair(first, ...others);
    for (const name of [first, ...others]) await home.start(name);
    // In the order in which they came to vote.
    const voters = new Set<string>();
    while (voters.size < 5) {
      await home.passed(300);
      for (const [name, state] of Object.entries(await home.view("a")))
        if (state.endsWith("+")) voters.add(name);
    }
    await home.passed(3000);
    const [, one = "", other = "", back = "", lost = ""] = voters;
    for (const name of [back, lost]) home.kill(name);
    await home.passed(3300);
    const roles = [await toRole(home, one, "worker"), await toRole(home, other, "worker")];
    home.kill("a");
    await home.start(back);
    await home.passed(15_000);
    const named = home.node(back).change({ type: "rename", node: home.id(one), name: "attic" });
    expect({
      roles,
      leads: (await home.view(back))[back],
      named: await refusal(home.settled(named)),
    }).toEqual({
      roles: ["done", "done"],
      leads: "self*+",
      named: "done",
    });
  },
  TEST_MS_MAX,
);
