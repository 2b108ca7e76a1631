/** The cluster's key is another once a machine that held it is forgotten: on virtual time, with machines off, cut, and dying. */
import { expect, test } from "bun:test";
import { RotatingHome } from "./rotating-home.ts";

const TEST_MS_MAX = 120_000;
/** Longer than a certificate of the key before counts. */
const LONG_MS = 11 * 60_000;
/** Envelopes of all machines from the change until it is told to all, and some more. */
const SAID_MAX = 96;

const withoutOne = (gone: string, self: string) =>
  Object.fromEntries(
    ["a", "b", "c", "d"].filter((name) => name !== gone).map((name) => [name, name === self ? "self" : "up"]),
  );

test(
  "who held the key is forgotten: all others have another key and new certificates, and stay linked",
  async () => {
    const home = await RotatingHome.of("a", "b", "c", "d");
    const { keyed, plain } = home;
    const before = home.certificate(plain);
    const link = home.node(plain).link(home.id("a"));
    await home.forget(plain, keyed);
    await home.passed(4000);
    const { publicKey } = home.machine("e").identity;
    const admitted = await home.settled(home.node("a").admit({ publicKey, name: "e", addresses: [] }));
    expect({
      numbers: home.numbers.toSorted(),
      renewed: home.certificate(plain) !== before,
      same: home.node(plain).link(home.id("a")) === link,
      keyed: await home.view(keyed),
      admitted: admitted.clusterNumber,
      said: home.troubles,
    }).toEqual({
      numbers: [1, 2, 2, 2],
      renewed: true,
      same: true,
      keyed: { [keyed]: "self*+" },
      admitted: 2,
      said: [
        `${keyed}: this machine was taken off its home's list of machines, and is on its own again; to bring it back: exo invite there, exo join CODE here`,
      ],
    });
  },
  TEST_MS_MAX,
);

test(
  "keys are others when somebody says so: all stay linked, and one that was off comes back",
  async () => {
    const home = await RotatingHome.of("a", "b", "c", "d");
    const { keyed, plain } = home;
    const [link, before] = [home.node("a").link(home.id(keyed)), home.certificate(keyed)];
    const known = home.machine(keyed).disk.record?.discoveryKeys.at(-1)?.number;
    home.kill(plain);
    await home.passed(3000);
    const asked = home.node(keyed).change({ type: "rotate" });
    await home.settled(asked);
    await home.passed(4000);
    const same = home.node("a").link(home.id(keyed)) === link;
    await home.time.pass(LONG_MS);
    await home.start(plain);
    await home.passed(8000);
    expect({
      numbers: home.numbers,
      beacons: [known, home.machine(plain).disk.record?.discoveryKeys.at(-1)?.number],
      renewed: home.certificate(keyed) !== before,
      same,
      sees: await home.states(plain),
      said: home.troubles,
    }).toEqual({
      numbers: [2, 2, 2, 2],
      beacons: [1, 2],
      renewed: true,
      same: true,
      sees: withoutOne("nobody", plain),
      said: [],
    });
  },
  TEST_MS_MAX,
);

test(
  "who never held the key is forgotten without another key",
  async () => {
    const home = await RotatingHome.of("a", "b", "c", "d");
    await home.forget("a", home.plain);
    await home.passed(2000);
    expect(home.numbers).toEqual([1, 1, 1, 1]);
  },
  TEST_MS_MAX,
);

test(
  "a machine that was off is told of the key when it comes back, long after certificates of the old one count no more",
  async () => {
    const home = await RotatingHome.of("a", "b", "c", "d");
    const { keyed, plain } = home;
    home.kill(plain);
    await home.passed(3000);
    await home.forget("a", keyed);
    await home.passed(3000);
    await home.time.pass(LONG_MS);
    await home.start(plain);
    await home.passed(8000);
    expect({
      numbers: home.numbers.toSorted(),
      sees: await home.states(plain),
      seen: await home.states("a"),
    }).toEqual({
      numbers: [1, 2, 2, 2],
      sees: withoutOne(keyed, plain),
      seen: withoutOne(keyed, "a"),
    });
  },
  TEST_MS_MAX,
);

test(
  "a machine behind a cut comes back by itself when it heals",
  async () => {
    const home = await RotatingHome.of("a", "b", "c", "d");
    const { keyed, plain } = home;
    home.cutOff(plain);
    await home.passed(4000);
    await home.forget("a", keyed);
    await home.passed(3000);
    await home.time.pass(LONG_MS);
    home.wire.heal();
    await home.passed(35_000);
    expect({ numbers: home.numbers.toSorted(), sees: await home.states(plain) }).toEqual({
      numbers: [1, 2, 2, 2],
      sees: withoutOne(keyed, plain),
    });
  },
  TEST_MS_MAX,
);

test(
  "who leads dies at any moment of changing the key: the home has one key, old or new, and can sign with it",
  async () => {
    const seen = new Set<number>();
    for (let said = 0; said < SAID_MAX; said += 4) {
      const home = await RotatingHome.of("a", "b", "c", "d", "e");
      const { keyed, plain } = home;
      const change = { type: "forget", node: home.id(keyed) } as const;
      home
        .node("a")
        .change(change)
        .catch(() => {}); // Its end is what the test brings about.
      await home.killAfter("a", said);
      await home.passed(9000);
      const labelled = { type: "label", node: home.id(plain), labels: { still: "here" } } as const;
      await home.settled(home.node(plain).change(labelled));
      await home.start("a");
      await home.passed(5000);
      const members = (await home.node("a").nodes()).map(({ name }) => name);
      const known = members.map((name) => home.machine(name).disk.record?.clusterNumber ?? 1);
      const labels = (await home.node("a").nodes()).find(({ name }) => name === plain)?.labels;
      for (const number of known) seen.add(number);
      expect({ said, keys: new Set(known).size, labels }).toEqual({
        said,
        keys: 1,
        labels: { still: "here" },
      });
    }
    // Some died before the key was another, and some after.
    expect(seen).toEqual(new Set([1, 2]));
  },
  TEST_MS_MAX,
);

test(
  "a machine that was off while the key changed twice is told of both",
  async () => {
    const home = await RotatingHome.of("a", "b", "c", "d", "e");
    const { keyed, plain } = home;
    home.kill(plain);
    await home.passed(3000);
    await home.forget("a", keyed);
    await home.passed(5000);
    await home.forget("a", home.keyed);
    await home.passed(5000);
    await home.time.pass(LONG_MS);
    await home.start(plain);
    await home.passed(8000);
    const { record } = home.machine(plain).disk;
    expect({
      number: record?.clusterNumber,
      before: record?.clusterBefore?.length,
      sees: Object.values(await home.states(plain)).toSorted(),
    }).toEqual({ number: 3, before: 2, sees: ["self", "up", "up"] });
  },
  TEST_MS_MAX,
);

test(
  "two that both believe to lead change the key: one of both keys is the home's, and all have it after the cut",
  async () => {
    const home = await RotatingHome.of("a", "b", "c", "d", "e");
    const { keyed, plain } = home;
    home.cutOff("a");
    // Nobody else hears of this one, and it never comes into force.
    const lost = home.forget("a", plain).then(
      () => "done",
      (error: Error) => error.message,
    );
    await home.passed(6000);
    await home.forget(plain, keyed);
    await home.passed(2000);
    home.wire.heal();
    await home.passed(12_000);
    const names = (await home.node("a").nodes()).map(({ name }) => name);
    const records = names.map((name) => home.machine(name).disk.record);
    expect({
      lost: await lost,
      gone: names.includes(keyed),
      kept: names.includes(plain),
      keys: new Set(records.map((record) => record?.clusterPem)).size,
      numbers: [...new Set(records.map((record) => record?.clusterNumber))],
      sees: new Set(Object.values(await home.states("a"))),
    }).toEqual({
      lost: expect.stringMatching(/majority|leads|leader/),
      gone: false,
      kept: true,
      keys: 1,
      numbers: [2],
      sees: new Set(["self", "up"]),
    });
  },
  TEST_MS_MAX,
);

for (const held of [false, true])
  test(
    `a machine ${held ? "with" : "without"} the key that is forgotten while it is off is told so when it comes back`,
    async () => {
      const home = await RotatingHome.of("a", "b", "c", "d");
      const forgotten = held ? home.keyed : home.plain;
      home.kill(forgotten);
      await home.passed(3000);
      await home.forget("a", forgotten);
      await home.passed(2000);
      await home.time.pass(LONG_MS);
      const { cluster } = home.machine("a").disk.record ?? {};
      const { numbers } = home;
      const others = ["a", "b", "c", "d"].filter((name) => name !== forgotten);
      await home.start(forgotten);
      await home.passed(6000);
      expect({
        numbers: new Set(numbers),
        view: await home.view(forgotten),
        by: home.machine(forgotten).disk.record?.forgottenBy?.cluster === cluster,
        told: (await home.node(forgotten).nodes())[0]?.forgottenBy,
        said: home.troubles.filter((line) => line.includes("taken off")).length,
      }).toEqual({
        numbers: new Set([held ? 2 : 1]),
        view: { [forgotten]: "self*+" },
        by: true,
        told: others,
        said: 1,
      });
    },
    TEST_MS_MAX,
  );
