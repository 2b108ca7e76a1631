import { expect, test } from "bun:test";
import { systemClock } from "#actors/runtime/clock";
import type { NodeId } from "#protocol/ids";
import { Talk } from "./talk.ts";

test("T31 a member that tells of itself all the time is heard once a second after a few times, others as ever", () => {
  let nowMs = 0;
  const talk = new Talk({ ...systemClock, nowMs: () => nowMs });
  const [loud, calm] = ["loud", "calm"] as NodeId[] as [NodeId, NodeId];
  const heard = { loud: 0, calm: 0 };
  for (; nowMs < 60_000; nowMs += 10) {
    if (talk.allows(loud)) heard.loud += 1;
    if (nowMs % 2000 === 0 && talk.allows(calm)) heard.calm += 1;
  }
  expect(heard).toEqual({ loud: 67, calm: 30 });
});
