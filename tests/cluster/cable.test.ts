/** Machines on a network of their own: found without being told where, and one whose cable is pulled and plugged in again. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { freshFolder } from "../cli/exo.ts";
import { segment } from "./namespaces.ts";
import { members, msUntil, started } from "./processes.ts";

setDefaultTimeout(90_000);

const allUp = (view: Readonly<Record<string, string>>) =>
  Object.keys(view).length === 3 && Object.values(view).every((state) => /^(self|up)/.test(state));
const leads = (view: Readonly<Record<string, string>>) =>
  Object.entries(view).find(([, state]) => state.includes("*"))?.[0];

test("a pulled cable shows within 3 s, another leads within 5 s, and plugged in again all agree within 5 s", async () => {
  using folder = freshFolder();
  const stack = new AsyncDisposableStack();
  await using _ = stack;
  const net = stack.use(await segment(3));
  const names = ["ada", "bob", "cyd"];
  // Wrong addresses: only beacons tell where the others are.
  const machines = await members(folder.path, names, ["10.77.0.91", "10.77.0.92", "10.77.0.93"]);
  const running = await Promise.all(
    machines.map(async (machine, i) => stack.use(await started(machine, { prefix: net.on(i), args: [] }))),
  );
  const formedMs = await msUntil(running, (view) => allUp(view) && leads(view) !== undefined);
  await msUntil(running, (view) => Object.values(view).filter((state) => state.endsWith("+")).length === 3);
  const victim = names.indexOf(leads((await running[0]?.view()) ?? {}) ?? "");
  const left = running.filter((_, i) => i !== victim);
  await net.plug(victim, false);
  const name = names[victim] ?? "";
  const deadMs = await msUntil(left, (view) => view[name]?.startsWith("dead") === true);
  const ledMs = deadMs + (await msUntil(left, (view) => ![undefined, name].includes(leads(view))));
  await net.plug(victim, true);
  const healedMs = await msUntil(running, (view) => allUp(view));
  const [one] = left;
  const leader = leads((await one?.view()) ?? {});
  const agreedMs = healedMs + (await msUntil(running, (view) => allUp(view) && leads(view) === leader));
  console.info(`formed after ${formedMs} ms, seen dead ${deadMs}, led ${ledMs}, agreed ${agreedMs}`);
  expect({ dead: deadMs <= 3000, led: ledMs <= 5000, agreed: agreedMs <= 5000 }).toEqual({
    dead: true,
    led: true,
    agreed: true,
  });
});
