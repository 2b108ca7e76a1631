import { expect, test } from "bun:test";
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import { worded } from "#protocol/problem";
import { ordered } from "./orders.ts";
import type { Cluster } from "./ports.ts";

const view = (node: string, name: string, state: NodeView["state"]) => ({ node, name, state }) as NodeView;

test("a machine that is near and not paired is said to be that, by its name as by its id", async () => {
  const nodes = async () => [
    view("aaaabbbb" as NodeId, "studio", "self"),
    view("aaaacccc" as NodeId, "mini", "up"),
    view("zzzzyyyy" as NodeId, "attic", "unpaired"),
  ];
  const cluster = { nodes, change: async () => {} } as unknown as Cluster;
  const asked = (name: string) =>
    ordered(cluster, name, { action: "drain" }).then((after) => after?.name, worded);
  expect(await Promise.all(["attic", "ZZZZ", "zzz", "aaaa", "AAAAC", "nobody"].map(asked))).toEqual([
    "no machine of this home is called attic; it is nearby, not paired: exo invite here, exo join there",
    "no machine of this home is called ZZZZ; it is nearby, not paired: exo invite here, exo join there",
    "no machine of this home is called zzz; exo nodes lists them",
    "aaaa begins the id of more than one machine; exo nodes lists them",
    "mini",
    "no machine of this home is called nobody; exo nodes lists them",
  ]);
});
