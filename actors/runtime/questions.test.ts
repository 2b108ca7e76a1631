import { expect, test } from "bun:test";
import type { Address } from "#protocol/ids";
import { SupervisorReply } from "#protocol/supervisor";
import { systemClock } from "./clock.ts";
import { Questions } from "./questions.ts";

test("an answer to a question from before a restart is not taken for that to another", async () => {
  const who = "far/cluster" as Address;
  const before = new Questions(systemClock);
  const old = before.next;
  const [after, answer] = [
    new Questions(systemClock),
    SupervisorReply.Refused({ problem: { kind: "internal", message: "" } }),
  ];
  const number = after.next;
  const asked = after.open(who, "Cluster.Propose", 60_000);
  const wasLate = !after.answer(old, who, answer);
  const isOwn = after.answer(number, who, answer);
  expect({ wasLate, isOwn, got: await asked }).toEqual({ wasLate: true, isOwn: true, got: answer });
});
