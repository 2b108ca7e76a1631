/** Machines on a network of their own: found without being told where, and one whose cable is pulled and plugged in again. */
import { expect, setDefaultTimeout, test } from "bun:test";
import type { NodeView } from "#protocol/cluster";
import { freshFolder } from "../cli/exo.ts";
import { askedOn, canMakeSegments, type Segment, segment } from "./namespaces.ts";
import { type Machine, members, msUntil, started } from "./processes.ts";

setDefaultTimeout(180_000);

const allUp = (view: Readonly<Record<string, string>>) =>
  Object.keys(view).length === 3 && Object.values(view).every((state) => /^(self|up)/.test(state));
const leads = (view: Readonly<Record<string, string>>) =>
  Object.entries(view).find(([, state]) => state.includes("*"))?.[0];

/** The value of that label of the machine, as each of them knows it. */
async function labels(net: Segment, machines: readonly Machine[], name: string, label: string) {
  const all = await Promise.all(machines.map((machine, i) => askedOn(net, i, machine, "nodes", "--json")));
  return all.map(({ out }) => {
    const { nodes }: { nodes: readonly NodeView[] } = JSON.parse(out);
    return nodes.find((each) => each.name === name)?.labels[label];
  });
}

/** Each takes tenths of a second, as three commands are started for it. */
const LOOKS = 10;

const hasNamespaces = await canMakeSegments();

test.if(hasNamespaces)(
  "a pulled cable shows and another leads, plugged in again all agree, and only the majority's change was taken",
  async () => {
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
    const say = (i: number, side: string) =>
      askedOn(net, i, machines[i] as Machine, "node", name, "label", `side=${side}`);
    const saidAlone = say(victim, "alone");
    const deadMs = await msUntil(left, (view) => view[name]?.startsWith("dead") === true);
    const ledMs = deadMs + (await msUntil(left, (view) => ![undefined, name].includes(leads(view))));
    const [first = 0] = names.keys().filter((i) => i !== victim);
    const saidByMost = await say(first, "most");
    const refused = await saidAlone;
    // Who neither leads nor was asked hears of it with the next heartbeat.
    let cut = await labels(net, machines, name, "side");
    for (let look = 0; look < LOOKS && cut.filter((label) => label === "most").length < 2; look++)
      cut = await labels(net, machines, name, "side");
    await net.plug(victim, true);
    const healedMs = await msUntil(running, (view) => allUp(view));
    const [one] = left;
    const leader = leads((await one?.view()) ?? {});
    const agreedMs = healedMs + (await msUntil(running, (view) => allUp(view) && leads(view) === leader));
    const healed = await labels(net, machines, name, "side");
    console.info(`formed after ${formedMs} ms, seen dead ${deadMs}, led ${ledMs}, agreed ${agreedMs}`);
    expect({
      said: [saidByMost.code, refused.code],
      why: refused.err,
      cut,
      healed,
    }).toEqual({
      said: [0, 8],
      why: expect.stringContaining("no machine leads this home now"),
      cut: names.map((_, i) => (i === victim ? undefined : "most")),
      healed: ["most", "most", "most"],
    });
  },
);
