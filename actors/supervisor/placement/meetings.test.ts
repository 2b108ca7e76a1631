import { expect, test } from "bun:test";
import { Meetings } from "./meetings.ts";

test("workers that cannot meet are told of once for each placement, on a clock that does not stand still", () => {
  let now = 0;
  const said: string[] = [];
  const clock = {
    nowMs: () => (now += 0.25),
    epochSeconds: () => 0,
    freshId: () => "",
    after: () => () => {},
  };
  const meetings = new Meetings("moon", { clock, troubled: (why) => said.push(why) });
  for (const epoch of [1, 1, 2, 2]) if (meetings.mayTryLater(epoch)) meetings.say(`in epoch ${epoch}`);
  expect(said).toEqual([
    "the workers of moon cannot meet yet: in epoch 1",
    "the workers of moon cannot meet yet: in epoch 2",
  ]);
});
