/** How soon another leads where the end of who led is known, and that a verdict on one that lives changes nothing. */
import { expect, test } from "bun:test";
import { SimulatedHome } from "./home.ts";

/** Of 50 to 350 ms that a voter waits, and two rounds of questions. */
const SOON_MS = 500;

async function homeOfThree(seed: number): Promise<SimulatedHome> {
  const home = new SimulatedHome(seed);
  await home.pair("a", "b", "c");
  for (const name of ["a", "b", "c"]) await home.start(name);
  await home.passed(8000);
  return home;
}

const leaderOf = async (home: SimulatedHome, viewer: string) =>
  (await home.node(viewer).nodes()).find(({ leader }) => leader)?.name;

test("another leads within half a second of a death that the dead one's kernel tells of, but where two stood at once", async () => {
  let soon = 0;
  for (let seed = 1; seed <= 20; seed++) {
    const home = await homeOfThree(seed);
    home.kill("a");
    const ms = await home.msUntil(async () => ["b", "c"].includes((await leaderOf(home, "b")) ?? ""), 5000);
    if (ms <= SOON_MS) soon += 1;
    for (const name of ["b", "c"]) home.kill(name);
  }
  expect({ isMost: soon >= 18 }).toEqual({ isMost: true });
});

test("where one alone calls who leads dead, it leads on, and no term is begun", async () => {
  const home = await homeOfThree(3);
  const [a, b] = [home.id("a"), home.id("b")];
  const before = await leaderOf(home, "c");
  const { term } = await home.settled(home.node("c").set("x", "0"));
  home.wire.cut(a, b);
  home.wire.cut(b, a);
  await home.passed(10_000);
  const during = await leaderOf(home, "c");
  const set = await home.settled(home.node("c").set("x", "1"));
  home.wire.heal();
  await home.passed(5000);
  expect({ before, during, isSameTerm: set.term === term, after: await leaderOf(home, "b") }).toEqual({
    before: "a",
    during: "a",
    isSameTerm: true,
    after: "a",
  });
});
