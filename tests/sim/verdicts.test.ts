/** Whom the simulator blames for a death that it did not see: nobody who was away when it happened. */
import { expect, test } from "bun:test";
import { Account } from "./account.ts";
import { SimulatedHome } from "./home.ts";
import { Rebirths } from "./rebirth.ts";
import { Verdicts } from "./verdicts.ts";

/** Until what troubles a machine as it starts is over. */
const EASY_MS = 21_000;
const SEEN_MS = 6000;
const TEST_MS_MAX = 120_000;

async function blamedWhileAway(): Promise<readonly string[]> {
  const home = new SimulatedHome(5);
  const account = new Account(home);
  const verdicts = new Verdicts(home, account);
  const rebirths = new Rebirths(home, account, verdicts);
  const names = ["a", "b", "c", "d"];
  await home.pair("a", "b", "c", "d");
  for (const name of names) {
    await home.start(name);
    verdicts.started(name);
  }
  await home.passed(EASY_MS);
  rebirths.sendAway("d");
  const stepped = async () => {
    rebirths.step();
    await home.passed(1000);
  };
  while (home.isIn("d")) await stepped();
  // Nobody who is in need see it, so that only the one who is not could be blamed.
  for (const name of ["a", "b"]) verdicts.trouble(name, SEEN_MS);
  verdicts.died("c");
  home.kill("c");
  for (let ms = 0; ms < 3 * SEEN_MS; ms += 100) {
    if (ms % 1000 === 0) rebirths.step();
    await home.passed(100);
    verdicts.check();
  }
  const isBack = home.isIn("d");
  for (const name of names) home.kill(name);
  return [...account.violations, ...(isBack ? [] : ["d is not back"])];
}

/** A home of a, b and c, and how one of them is started. */
async function threeOf(seed: number) {
  const home = new SimulatedHome(seed);
  const account = new Account(home);
  const verdicts = new Verdicts(home, account);
  const names = ["a", "b", "c"];
  await home.pair("a", "b", "c");
  const started = async (name: string) => {
    await home.start(name);
    verdicts.started(name);
  };
  for (const name of names) await started(name);
  return { home, account, verdicts, names, started };
}

test(
  "who is let in again is not blamed for not having seen who died before it was linked with it",
  async () => {
    expect(await blamedWhileAway()).toEqual([]);
  },
  TEST_MS_MAX,
);

test(
  "who stands still for long is called dead by nobody's fault, also if it was killed and began again meanwhile",
  async () => {
    const { home, account, verdicts, names, started } = await threeOf(7);
    await home.passed(EASY_MS);
    home.wire.pause(home.id("c"));
    verdicts.trouble("c", 3 * EASY_MS);
    verdicts.died("c");
    home.kill("c");
    await started("c");
    verdicts.eased();
    await home.passed(2 * EASY_MS);
    const isDead = (await home.node("a").nodes()).some(({ name, state }) => name === "c" && state === "dead");
    // They look at each other whenever something is another.
    await home.settled(
      home.node("a").change({ type: "label", node: home.id("b"), labels: { room: "attic" } }),
    );
    await home.passed(1000);
    for (const name of names) home.kill(name);
    expect([account.violations, isDead]).toEqual([[], true]);
  },
  TEST_MS_MAX,
);

test(
  "who begins again while it is cut off is missed by nobody when it ends again",
  async () => {
    const { home, account, verdicts, names, started } = await threeOf(6);
    for (const name of ["a", "b"]) {
      home.wire.cut(home.id("c"), home.id(name));
      home.wire.cut(home.id(name), home.id("c"));
    }
    verdicts.lastingTrouble("c");
    const ended = () => {
      verdicts.died("c");
      home.kill("c");
    };
    ended();
    await started("c");
    await home.passed(EASY_MS);
    ended();
    await home.passed(SEEN_MS);
    verdicts.check();
    for (const name of names) home.kill(name);
    expect(account.violations).toEqual([]);
  },
  TEST_MS_MAX,
);
