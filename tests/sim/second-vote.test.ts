/** The disk that is lost in the moment in which its machine becomes the second of two that vote. */
import { expect, test } from "bun:test";
import { Account } from "./account.ts";
import { SimulatedHome } from "./home.ts";
import { Rebirths } from "./rebirth.ts";
import { Verdicts } from "./verdicts.ts";

test("its user goes on without it by a takeover, nothing confirmed is lost, and it is let in again", async () => {
  const home = new SimulatedHome(7);
  const account = new Account(home);
  const rebirths = new Rebirths(home, account, new Verdicts(home, account));
  await home.pair("a", "b", "c");
  home.spare(1);
  for (const name of ["a", "b"]) await home.start(name);
  await home.passed(3000);
  await home.settled(home.node("a").set("kept", "1"));
  // Of three that are up two more vote, one after the other: the first of them is lost.
  await home.start("c");
  const votes = (name: string) =>
    home
      .machine(name)
      .disk.load()
      .entries.findLast(({ config }) => config)?.config?.voters;
  await home.until(() => votes("a")?.length === 2);
  const second = home.id("b") === votes("a")?.[1] ? "b" : "c";
  rebirths.begin(second);
  await home.start(second);
  for (let ms = 0; ms < 60_000 && rebirths.isUnderWay; ms += 1000) {
    rebirths.step();
    await home.passed(1000);
  }
  const { isUnderWay } = rebirths;
  const { settings } = home.node(second);
  for (const name of ["a", "b", "c"]) home.kill(name);
  expect({ isUnderWay, settings, violations: account.violations }).toEqual({
    isUnderWay: false,
    settings: { kept: "1" },
    violations: [],
  });
});
