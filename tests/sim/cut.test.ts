/** Who is cut from the majority, and is asked for a change: how soon it says so. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { SimulatedHome } from "./home.ts";

setDefaultTimeout(60_000);

test("who is cut from the majority says so at once, also of a change under way; who only misses its leader waits for another", async () => {
  const home = new SimulatedHome(11);
  await home.start("a");
  for (const name of ["b", "c", "d", "e"]) await home.join(name, "a");
  await home.passed(5000);
  const few = "no machine leads this home now: too few of those that vote are up";
  const label = async (on: string, value: string) => {
    const startMs = home.time.nowMs;
    const said = await home
      .settled(home.node(on).change({ type: "label", node: home.id("e"), labels: { at: value } }))
      .then(
        () => "taken",
        (error: Error) => (error.message.startsWith(few) ? "too few" : error.message),
      );
    return { said, ms: home.time.nowMs - startMs };
  };
  const sees = (viewer: string, name: string, state: string) =>
    home.until(async () => (await home.view(viewer))[name]?.startsWith(state) === true);
  for (const one of ["a", "d"])
    for (const other of ["b", "c", "e"]) {
      home.wire.cut(home.id(one), home.id(other));
      home.wire.cut(home.id(other), home.id(one));
    }
  const underWay = await label("a", "under way");
  await sees("b", "a", "dead");
  const elected = await label("b", "elected");
  const [leader, member] = [await label("a", "leader"), await label("d", "member")];
  home.kill("d");
  await sees("a", "d", "dead");
  const alone = await label("a", "alone");
  expect({
    said: [underWay, elected, leader, member, alone].map(({ said }) => said),
    // A verdict takes 3 s, and where another votes beside it, that one may lead within two more.
    soon: [underWay.ms < 5200, leader.ms < 2200, member.ms < 2200, alone.ms < 200],
  }).toEqual({
    said: ["too few", "taken", "too few", "too few", "too few"],
    soon: [true, true, true, true],
  });
});
