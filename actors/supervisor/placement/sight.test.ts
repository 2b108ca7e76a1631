import { expect, test } from "bun:test";
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import { sightOf } from "./sight.ts";

const bob = { node: "b" as NodeId, name: "bob", state: "up" } as NodeView;

test("a look that comes to nothing is taken again, and not after the end", async () => {
  const timers: (() => void)[] = [];
  const answers = [Promise.reject(new Problem("unavailable", "busy")), Promise.resolve([bob])];
  const clock = {
    nowMs: () => 0,
    epochSeconds: () => 0,
    freshId: () => "",
    after: (_: number, run: () => void) => {
      timers.push(run);
      return () => void timers.splice(timers.indexOf(run), 1);
    },
  };
  const nodes = () => answers.shift() ?? Promise.reject(new Problem("unavailable", "stopping"));
  const sight = sightOf({ nodes }, clock);
  const told: boolean[] = [];
  sight.onChange(() => told.push(sight.isUp(bob.node)));
  sight.look();
  await Promise.resolve();
  const again = timers.length;
  timers.at(-1)?.();
  await Promise.resolve();
  sight.stop();
  sight.look();
  await Promise.resolve();
  expect([again, told, sight.nameOf(bob.node), timers.length]).toEqual([1, [true], "bob", 0]);
});
