/** Three real processes with real TLS on this machine: one that leads is killed, another leads, and the killed one catches up. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { freshFolder } from "../cli/exo.ts";
import { members, msUntil, type Running, started, view } from "./processes.ts";

setDefaultTimeout(180_000);

const whole = (view: Readonly<Record<string, string>>) => {
  const states = Object.values(view);
  const votes = states.filter((state) => state.endsWith("+")).length;
  return (
    votes === 3 &&
    states.every((state) => /^(self|up)/.test(state)) &&
    states.some((state) => state.includes("*"))
  );
};

const leaderIn = (view: Readonly<Record<string, string>>): string | undefined =>
  Object.entries(view).find(([, state]) => state.includes("*"))?.[0];

test("who leads is killed: all see it, follow another, and it catches up after its restart", async () => {
  using folder = freshFolder();
  const names = ["ada", "bob", "cyd"];
  const machines = await members(folder.path, names, []);
  const stack = new AsyncDisposableStack();
  await using _ = stack;
  const running = new Map<string, Running>();
  for (const machine of machines) running.set(machine.name, stack.use(await started(machine)));
  const formedMs = await msUntil([...running.values()], whole);
  const victim = leaderIn(await view(running.get("ada") as Running)) ?? "";
  await running.get(victim)?.kill("SIGKILL");
  running.delete(victim);
  const left = [...running.values()];
  const deadMs = await msUntil(left, (seen) => seen[victim]?.startsWith("dead") === true);
  const ledMs = deadMs + (await msUntil(left, (seen) => ![undefined, victim].includes(leaderIn(seen))));
  const [machine] = machines.filter(({ name }) => name === victim);
  if (!machine) throw new Error("nobody led");
  const again = stack.use(await started(machine));
  const backMs = await msUntil([...left, again], whole);
  console.info(`formed after ${formedMs} ms, seen dead ${deadMs}, led ${ledMs}, whole again ${backMs}`);
  // How soon is judged where time is virtual (tests/sim/home.test.ts): within 2 s and 5 s.
  expect(Object.keys(await view(again)).sort()).toEqual(names);
});
