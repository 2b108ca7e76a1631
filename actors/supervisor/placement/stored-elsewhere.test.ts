import { expect, test } from "bun:test";
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import { Stored } from "./stored-elsewhere.ts";

const view = (name: string, state: NodeView["state"]) => ({ node: name as NodeId, name, state }) as NodeView;
const model = (name: string) => ({ model: name, bytes: 9, created: 7 });

test("of models elsewhere each is listed once with its machines, of those that answer, and asked for anew after five seconds", async () => {
  let nowMs = 0;
  let nodes = async (): Promise<readonly NodeView[]> => {
    throw new Problem("unavailable", "discovery is being started again");
  };
  const asked: string[] = [];
  const elsewhere = new Stored({
    self: "me" as NodeId,
    clock: { nowMs: () => nowMs },
    nodes: () => nodes(),
    async stored(node) {
      asked.push(node);
      if (node === "old") throw new Problem("invalid", "unknown message Stages.Stored");
      return node === "ada" ? [model("sea"), model("sea"), model("lake")] : [model("sea")];
    },
  });
  const seen = async (atMs: number) => {
    nowMs = atMs;
    return (await elsewhere.elsewhere()).map(({ model: name, on }) => `${name} ${on}`);
  };
  const unknown = await seen(0);
  nodes = async () =>
    ["me", "ada", "old", "bob", "off"].map((name) =>
      view(name, name === "me" ? "self" : name === "off" ? "dead" : "up"),
    );
  const later = [await seen(4_999), await seen(5_000), await seen(9_999)];
  expect({ unknown, later, asked }).toEqual({
    unknown: [],
    later: [[], ["sea ada,bob", "lake ada"], ["sea ada,bob", "lake ada"]],
    asked: ["ada", "old", "bob"],
  });
});
