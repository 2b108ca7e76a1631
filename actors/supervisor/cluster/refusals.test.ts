import { expect, test } from "bun:test";
import { systemClock } from "#actors/runtime/clock";
import { Refusals } from "./refusals.ts";

test("T1 T8 a flood of refused callers is said once for each and minute, and of many sources once", () => {
  let nowMs = 0;
  const said: string[] = [];
  const refusals = new Refusals({ ...systemClock, nowMs: () => nowMs }, (why) => said.push(why));
  for (let i = 0; i < 1000; i++) refusals.add("10.0.0.9", "TLS");
  nowMs = 60_000;
  refusals.add("10.0.0.9", "TLS");
  for (let i = 0; i < 10_000; i++) refusals.add(`10.1.${i >> 8}.${i & 255}`, "TLS");
  nowMs = 120_000;
  refusals.add("10.9.9.9", "TLS");
  expect({ first: said.slice(0, 2), count: said.length, rest: said.slice(65) }).toEqual({
    first: ["refused 10.0.0.9: TLS", "refused 10.0.0.9: TLS; 999 times more since the last"],
    count: 67,
    rest: ["refused others: TLS", "refused 10.9.9.9: TLS"],
  });
});
