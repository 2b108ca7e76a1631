/** How soon another leads where the end of who led is known, and that a verdict on one that lives changes nothing. */
import { expect, test } from "bun:test";
import { SimulatedHome } from "./home.ts";
import { RaftWorld } from "./raft-world.ts";

/** Of 50 to 350 ms that a voter waits, and two rounds of questions. */
const SOON_MS = 500;
const RUNS = 20;
/** Two stand at once where their waits, even over 300 ms, differ by less than a question takes, some 8 ms: 1 in 19. */
const LATE_MAX = 4;

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
  const late: number[] = [];
  for (let seed = 1; seed <= RUNS; seed++) {
    const home = await homeOfThree(seed);
    home.kill("a");
    const ms = await home.msUntil(async () => ["b", "c"].includes((await leaderOf(home, "b")) ?? ""), 5000);
    if (ms > SOON_MS) late.push(ms);
    for (const name of ["b", "c"]) home.kill(name);
  }
  expect(late.length > LATE_MAX ? late : []).toEqual([]);
});

test("where one alone takes who leads for ended, it leads on, and no term is begun", async () => {
  const world = new RaftWorld(4, 3);
  await world.time.pass(4000);
  const led = () => [...world.nodes.values()].map(({ leader, term }) => ({ leader, term }));
  const before = led();
  const wrong = [...world.nodes.values()].find(({ role }) => role === "follower");
  const [{ leader } = {}] = before;
  if (leader) wrong?.ended(leader);
  await world.time.pass(1000);
  expect({ roles: [...world.nodes.values()].map(({ role }) => role).toSorted(), led: led() }).toEqual({
    roles: ["follower", "follower", "leader"],
    led: before,
  });
});

test("a voter that who leads cannot link with any more gives its vote to another, although others hear it", async () => {
  const home = new SimulatedHome(3);
  const names = ["a", "b", "c", "d"];
  await home.pair("a", "b", "c", "d");
  for (const name of names) await home.start(name);
  await home.passed(15_000);
  const voters = async () =>
    (await home.node("a").nodes()).filter(({ voter }) => voter).map(({ name }) => name);
  const before = await voters();
  const lost = before.find((name) => name !== "a") ?? "b";
  const [a, b] = [home.id("a"), home.id(lost)];
  home.wire.cut(a, b);
  home.wire.cut(b, a);
  for (const link of [...home.wire.links])
    if (link.self === a && link.peer.node === b) link.breakNow("the connection was reset");
  await home.passed(100_000);
  const after = await voters();
  for (const name of names) home.kill(name);
  expect({ leads: before.includes("a"), count: after.length, isThere: after.includes(lost) }).toEqual({
    leads: true,
    count: 3,
    isThere: false,
  });
});
