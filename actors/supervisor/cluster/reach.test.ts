import { expect, test } from "bun:test";
import type { NodeState } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import { cutOff } from "./reach.ts";

test("who has not heard yet who votes is not cut off; who hears of too few that vote is, at once where none is left", () => {
  let now = 0;
  const clock = { nowMs: () => now, epochSeconds: () => 0, freshId: () => "", after: () => () => {} };
  const isCut = (voters: string, seen: Record<string, NodeState>) => {
    now = 0;
    const votes = {
      self: "a" as NodeId,
      voters: [...voters] as NodeId[],
      seen: Object.entries(seen).map(([node, state]) => ({ node: node as NodeId, state })),
    };
    const looks = cutOff(clock, () => votes);
    return [0, 3000].map((ms) => {
      now = ms;
      return looks();
    });
  };
  expect([
    isCut("", { b: "connecting" }),
    isCut("ab", { b: "connecting" }),
    isCut("ab", { b: "dead" }),
    isCut("bc", { b: "dead", c: "up" }),
  ]).toEqual([
    [false, false],
    [false, false],
    [true, true],
    [false, true],
  ]);
});
