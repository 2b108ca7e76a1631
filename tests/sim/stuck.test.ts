/** Processes that stand still on machines that live: what the others see, and that one comes back by itself. */
import { expect, test } from "bun:test";
import { SimulatedHome } from "./home.ts";

test("a process that hangs is stuck, not dead, and is up again within two seconds when it goes on", async () => {
  const home = new SimulatedHome(5);
  const names = ["a", "b", "c"];
  await home.pair("a", "b", "c");
  for (const name of names) await home.start(name);
  await home.time.pass(6000);
  home.wire.pause(home.id("c"));
  await home.time.pass(6000);
  const hanging = (await home.view("a")).c;
  home.wire.resume(home.id("c"));
  await home.time.pass(2000);
  const views = await Promise.all(names.map((name) => home.view(name)));
  const bad = views.flatMap((view) => Object.values(view)).filter((state) => !/^(self|up)/.test(state));
  for (const name of names) home.kill(name);
  expect({ hanging, bad }).toEqual({ hanging: "stuck+", bad: [] });
});
