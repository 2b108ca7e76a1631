/** Questions that arrive long after they were asked. */
import { expect, test } from "bun:test";
import { Cluster, type ClusterReply } from "#protocol/cluster";
import type { Address } from "#protocol/ids";
import { SimulatedHome } from "./home.ts";

test("a machine is not let in by a question that lay on the way while it was let in and forgotten; asked anew, it is", async () => {
  const home = new SimulatedHome(11);
  await home.pair("a", "b", "c");
  for (const name of ["a", "b", "c"]) await home.start(name);
  await home.time.pass(5000);
  const [leader = ""] = Object.entries(await home.view("a")).flatMap(([name, what]) =>
    what.includes("*") ? [name] : [],
  );
  const [asker = ""] = ["a", "b", "c"].filter((name) => name !== leader);
  const joiner = { publicKey: home.machine("e").identity.publicKey, name: "e", addresses: [] };
  const seen = home.machine(asker).disk.record?.members.version ?? 0;
  const question = Cluster.Change({ change: home.admission("e"), seen });
  await home.settled(home.node(leader).admit(joiner));
  await home.settled(home.node(leader).change({ type: "forget", node: home.id("e") }));
  const { system } = home.machine(asker);
  if (!system) throw new Error(`${asker} does not run`);
  const to = `${home.id(leader)}/cluster` as Address;
  const answer = await home.settled(
    system.ask<ClusterReply>(to, question, system.address("cluster"), 10_000),
  );
  const late = [answer.type, home.node(leader).isMember(home.id("e"))];
  await home.settled(home.node(asker).admit(joiner));
  expect([late, home.node(leader).isMember(home.id("e"))]).toEqual([["ClusterReply.Refused", false], true]);
});
