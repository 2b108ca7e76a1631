/** Ways between stages that are full, gone or broken: what they cost is what was lost on them. */
import { expect, setDefaultTimeout, test } from "bun:test";
import type { Address } from "#protocol/ids";
import { ShardWorker } from "#protocol/shard-worker";
import { failureOf, PROMPT, tokensOf, world } from "./tiny-group.ts";

/** Models of several machines take their time on one that does other things too. */
setDefaultTimeout(60_000);

const alone = world(undefined);
const WANTED = (() => {
  const heard = [alone.ask("a", PROMPT), alone.ask("b", PROMPT.toReversed())];
  alone.run();
  return heard.map(tokensOf);
})();

test("a way that takes no more for a while costs nothing but that: what waits for it goes on in order", async () => {
  const roomy: (() => void)[] = [];
  let sent = 0;
  const way = () =>
    ++sent % 3 === 0 ? { full: new Promise<void>((resolve) => roomy.push(resolve)) } : "taken";
  const { ask, run, parted } = world([1, 3], {}, { way });
  const heard = [ask("a", PROMPT), ask("b", PROMPT.toReversed())];
  run();
  let waits = 0;
  for (; roomy.length > 0; waits++) {
    roomy.shift()?.();
    await new Promise<void>((resolve) => setImmediate(resolve));
    run();
  }
  expect([heard.map(tokensOf), parted, waits > 10]).toEqual([WANTED, [], true]);
});

test("a way that is gone ends the epoch at once", () => {
  const { ask, run, parted } = world([1, 3], {}, { way: ({ to }) => (to === 1 ? "gone" : "taken") });
  const heard = ask("a", PROMPT);
  run();
  expect([failureOf(heard), parted.length]).toEqual([
    "pass 0 of model was refused: node-1/worker-1 cannot be reached",
    1,
  ]);
});

test("a link between stages that breaks costs nothing while nothing is under way, and the epoch while a pass is", () => {
  const { ask, run, step, parted, members } = world([2]);
  const [first, last] = members;
  const broke = (number: number) => {
    const problem = { kind: "unavailable", message: "a link broke" } as const;
    const message = ShardWorker.PassFailed({ instance: "model", epoch: 1, number, problem, lane: true });
    for (const member of [first, last]) member?.failed(message, "node-0/worker-1" as Address);
    // What the first stage says goes to the last.
    step();
  };
  const good = ask("a", PROMPT);
  run();
  broke(0);
  const before = parted.length;
  const bad = ask("b", PROMPT.toReversed());
  step();
  broke(0);
  expect([tokensOf(good), before, failureOf(bad), parted.length]).toEqual([
    WANTED[0] ?? [],
    0,
    "a link broke",
    1,
  ]);
});
