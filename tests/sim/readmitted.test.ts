/** A machine that was forgotten and is let in again, by whoever is asked, also by one that does not know that it was forgotten. */
import { expect, test } from "bun:test";
import { SimulatedHome } from "./home.ts";

async function calmHome(...names: readonly string[]): Promise<SimulatedHome> {
  const home = new SimulatedHome(5);
  const [first = "a", ...others] = names;
  await home.pair(first, ...others);
  for (const name of names) await home.start(name);
  await home.time.pass(5000);
  return home;
}

test("a leader that was replaced while its process stood still lets a machine in as the home has it now", async () => {
  const home = await calmHome("a", "b", "c", "d", "e");
  home.wire.pause(home.id("a"));
  await home.time.pass(5000);
  await home.settled(home.node("b").change({ type: "forget", node: home.id("d") }));
  await home.until(() => !home.isIn("d"));
  const { publicKey } = home.machine("d").identity;
  // What its user asks for is the first that it hears once it goes on.
  const asked = home.node("a").admit({ publicKey, name: "d", addresses: [] });
  home.wire.resume(home.id("a"));
  await home.settled(home.node("d").adopt(await home.settled(asked)));
  await home.time.pass(10_000);
  const seen = Object.keys(await home.view("d"));
  expect([home.isIn("d"), seen, home.troubles.filter((why) => why.startsWith("d"))]).toEqual([
    true,
    ["d", "a", "b", "c", "e"],
    [
      "d: this machine was taken off its home's list of machines, and is on its own again; to bring it back: exo invite there, exo join CODE here",
    ],
  ]);
});

test("who votes in the place of a forgotten machine holds the key that the others rotated to at once", async () => {
  const home = await calmHome("a", "b", "c", "d", "e");
  // Machines that may have the key are taken in the order of the list: the one that votes next is none of the first.
  home.kill("b");
  await home.time.pass(3300);
  await home.settled(home.node("a").change({ type: "forget", node: home.id("c") }));
  const voters = Object.entries(await home.view("a")).flatMap(([name, what]) =>
    what.endsWith("+") ? [[name, home.node(name).mayAdmit]] : [],
  );
  expect(voters).toEqual([
    ["a", true],
    ["d", true],
    ["e", true],
  ]);
});

test("a machine whose vote is needed is forgotten once another that votes is back", async () => {
  const home = await calmHome("a", "b", "c");
  home.kill("b");
  await home.time.pass(3300);
  const forgotten = () =>
    home.settled(home.node("a").change({ type: "forget", node: home.id("c") })).then(
      () => "forgotten",
      (error: Error) => error.message,
    );
  const [first] = [await forgotten(), await home.start("b")];
  await home.time.pass(3000);
  const second = await forgotten();
  await home.time.pass(5000);
  expect([first, second, await home.view("a")]).toEqual([
    "without it too few would be left of those that vote, as another is away or has just come in: nothing could be changed any more",
    "forgotten",
    { a: "self*+", b: "up" },
  ]);
});

test("a machine whose answer was lost is let in by the next try, where nothing else changes meanwhile", async () => {
  const home = await calmHome("a", "b", "c");
  await home.start("d");
  const { publicKey } = home.machine("d").identity;
  const asked = () => home.settled(home.node("b").admit({ publicKey, name: "d", addresses: [] }));
  await asked();
  await home.time.pass(3000);
  await home.settled(home.node("d").adopt(await asked()));
  await home.time.pass(5000);
  expect(await home.view("d")).toEqual({ d: "self", a: "up*+", b: "up+", c: "up+" });
});
