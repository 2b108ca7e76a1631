import { expect, test } from "bun:test";
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import { Lookout } from "./lookout.ts";

test("a machine out of reach is counted on for ten seconds, whatever others hear of it", async () => {
  const lost: (string | undefined)[] = [];
  for (const state of ["suspect", "stuck"] as const)
    for (const silentMs of [9000, 11_000]) {
      const view = { node: "b" as NodeId, name: "bob", state, silentMs } as NodeView;
      const lookout = new Lookout({
        clock: { nowMs: () => 0, epochSeconds: () => 0, after: () => () => {}, freshId: () => "1" },
        known: async () => ({ nodes: [view], links: [] }),
        looked: () => {},
        isNeeded: () => false,
        troubled: () => {},
      });
      await lookout.look();
      lost.push(lookout.lossOf(view.node)?.why);
    }
  expect(lost).toEqual([undefined, "bob does not answer", undefined, "bob does not answer"]);
});
