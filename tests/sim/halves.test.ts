/** Two parts of a home that went on without each other, by a takeover, and each gave the home another key. */
import { expect, test } from "bun:test";
import { RotatingHome } from "./rotating-home.ts";

const TEST_MS_MAX = 60_000;
const BACK = "exo node NAME forget on it, then exo invite on a machine that stays and exo join CODE on it";

/** Nothing passes between the machines of the one side and those of the other. */
function cut(home: RotatingHome, one: readonly string[], other: readonly string[]): void {
  for (const a of one)
    for (const b of other) {
      home.wire.cut(home.id(a), home.id(b));
      home.wire.cut(home.id(b), home.id(a));
    }
}

test(
  "two parts that each changed the home's key, one by a takeover, are told of each other, and a machine of one comes into the other",
  async () => {
    const home = await RotatingHome.of("a", "b", "c", "d");
    const { plain } = home;
    const [first = "", second = ""] = ["b", "c", "d"].filter((name) => name !== plain);
    cut(home, ["a", plain], [first, second]);
    await home.passed(6000);
    // The other two that vote are a majority without it.
    await home.forget(first, "a");
    home.node("a").takeOver();
    await home.passed(3000);
    await home.forget("a", first);
    await home.passed(3000);
    const keys = ["a", plain, first, second].map((name) => home.machine(name).disk.record?.clusterPem);
    home.wire.heal();
    await home.passed(30_000);
    const told = home.troubles
      .filter((line) => line.includes(BACK))
      .map((line) => line.split(" ", 2).join(" "));
    await home.settled(home.node(second).leave());
    const { publicKey } = home.machine(second).identity;
    const addresses = [`${home.id(second)}:1`];
    const record = await home.settled(home.node("a").admit({ publicKey, name: second, addresses }));
    await home.settled(home.node(second).adopt(record));
    await home.passed(10_000);
    expect({
      keys: new Set(keys).size,
      told: told.toSorted(),
      sees: await home.states(second),
    }).toEqual({
      keys: 2,
      told: [`a: ${second}`, `${plain}: ${second}`, `${first}: ${plain}`, `${second}: ${plain}`].toSorted(),
      sees: { [second]: "self", a: "up", [plain]: "up" },
    });
  },
  TEST_MS_MAX,
);
