/** A machine that was off while its home became another: what it learns, and from whom. */
import { expect, test } from "bun:test";
import { SimulatedHome } from "./home.ts";

test("a machine that was off while others came and those it knew went meets who came, and is up to date by that alone", async () => {
  const home = new SimulatedHome(8);
  await home.pair("a", "b", "c");
  for (const name of ["a", "b", "c"]) await home.start(name);
  await home.time.pass(5000);
  home.kill("c");
  await home.join("d", "a");
  await home.time.pass(2000);
  home.kill("a");
  home.kill("b");
  await home.start("c");
  await home.until(async () => (await home.view("c")).d === "up");
  const [ofC, ofD] = [await home.view("c"), await home.view("d")];
  expect([Object.keys(ofC).sort(), ofC.d?.slice(0, 2), ofD.c?.slice(0, 2)]).toEqual([
    ["a", "b", "c", "d"],
    "up",
    "up",
  ]);
});
