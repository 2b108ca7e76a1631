import { expect, test } from "bun:test";
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import { Lookout } from "./lookout.ts";

const lookoutOn = (nodes: () => readonly NodeView[]): Lookout =>
  new Lookout({
    clock: { nowMs: () => 0, epochSeconds: () => 0, after: () => () => {}, freshId: () => "1" },
    known: async () => ({ nodes: nodes(), links: [] }),
    looked: () => {},
    isNeeded: () => false,
    troubled: () => {},
  });

test("what was seen while another home was led says nothing of this one's machines", async () => {
  let nodes: readonly NodeView[] = [{ node: "a" as NodeId, name: "ada", state: "self" } as NodeView];
  const lookout = lookoutOn(() => nodes);
  await lookout.look();
  lookout.rest();
  nodes = [...nodes, { node: "b" as NodeId, name: "bob", state: "up" } as NodeView];
  const before = lookout.lossOf("b" as NodeId);
  await lookout.look();
  expect({ before, after: lookout.lossOf("b" as NodeId), isUp: lookout.isUp("b" as NodeId) }).toEqual({
    before: undefined,
    after: undefined,
    isUp: true,
  });
});

test("a machine out of reach is counted on for ten seconds, whatever others hear of it", async () => {
  const lost: (string | undefined)[] = [];
  for (const state of ["suspect", "stuck"] as const)
    for (const silentMs of [9000, 11_000]) {
      const view = { node: "b" as NodeId, name: "bob", state, silentMs } as NodeView;
      const lookout = lookoutOn(() => [view]);
      await lookout.look();
      lost.push(lookout.lossOf(view.node)?.why);
    }
  expect(lost).toEqual([undefined, "bob does not answer", undefined, "bob does not answer"]);
});
