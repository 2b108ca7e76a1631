/** Questions that arrive long after they were asked. */
import { expect, test } from "bun:test";
import { Cluster, type ClusterReply, type MemberChange } from "#protocol/cluster";
import type { Address } from "#protocol/ids";
import { SimulatedHome } from "./home.ts";

/** Some who asks, who leads, and a question as the first would ask it now, to be asked later: what became of that. */
async function delayed(change: (home: SimulatedHome) => MemberChange) {
  const home = new SimulatedHome(11);
  await home.pair("a", "b", "c", "d");
  for (const name of ["a", "b", "c", "d"]) await home.start(name);
  await home.time.pass(5000);
  const seenBy = Object.entries(await home.view("a"));
  const marked = (mark: string) => seenBy.flatMap(([name, what]) => (what.includes(mark) ? [name] : []));
  const [leader = ""] = marked("*");
  // One that votes may let others in; which do is drawn, and d is sent away by one of the tests.
  const [asker = ""] = marked("+").filter((name) => name !== leader && name !== "d");
  const seen = home.machine(asker).disk.record?.members.version ?? 0;
  const question = Cluster.Change({ change: change(home), seen });
  const arrives = async (): Promise<string> => {
    const { system } = home.machine(asker);
    if (!system) throw new Error(`${asker} does not run`);
    const to = `${home.id(leader)}/cluster` as Address;
    const asked = system.ask<ClusterReply>(to, question, system.address("cluster"), 10_000);
    return (await home.settled(asked)).type;
  };
  return { home, leader, asker, arrives };
}

test("a machine is not let in by a question that lay on the way while it was let in and forgotten; asked anew, it is", async () => {
  const { home, leader, asker, arrives } = await delayed((of) => of.admission("e"));
  const joiner = { publicKey: home.machine("e").identity.publicKey, name: "e", addresses: [] };
  await home.settled(home.node(leader).admit(joiner));
  await home.settled(home.node(leader).change({ type: "forget", node: home.id("e") }));
  const late = [await arrives(), home.node(leader).isMember(home.id("e"))];
  await home.settled(home.node(asker).admit(joiner));
  expect([late, home.node(leader).isMember(home.id("e"))]).toEqual([["ClusterReply.Refused", false], true]);
});

test("a machine is not forgotten by a question that lay on the way while it was forgotten and let in again; asked anew, it is", async () => {
  const { home, leader, asker, arrives } = await delayed((of) => ({ type: "forget", node: of.id("d") }));
  const { publicKey } = home.machine("d").identity;
  const forget = { type: "forget", node: home.id("d") } as const;
  await home.settled(home.node(leader).change(forget));
  await home.settled(home.node(leader).admit({ publicKey, name: "d", addresses: [] }));
  const late = [await arrives(), home.node(leader).isMember(home.id("d"))];
  await home.settled(home.node(asker).change(forget));
  expect([late, home.node(leader).isMember(home.id("d"))]).toEqual([["ClusterReply.Refused", true], false]);
});
