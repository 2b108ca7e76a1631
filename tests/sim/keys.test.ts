import { expect, test } from "bun:test";
import { AcceptedKeys } from "#actors/supervisor/cluster/accepted-keys";
import { VirtualTime } from "./time.ts";

test("after a rotation the key before counts for ten minutes more", async () => {
  const time = new VirtualTime();
  const accepted = new AcceptedKeys(time.clock(() => 0));
  const key = (number: number) => ({ number, secret: new Uint8Array(32) });
  const numbers = (...held: number[]) => accepted.of(held.map(key)).map(({ number }) => number);
  const first = numbers(1);
  await time.pass(11 * 60_000);
  const rotated = numbers(1, 2);
  await time.pass(9 * 60_000);
  const soon = numbers(1, 2);
  await time.pass(2 * 60_000);
  expect([first, rotated, soon, numbers(1, 2)]).toEqual([[1], [1, 2], [1, 2], [2]]);
});
