/** Memory that runs out costs the request that asks for it, not the worker. */
import { expect, test } from "bun:test";
import type { RequestId } from "#protocol/ids";
import { problemBody } from "#protocol/problem";
import { Engine } from "./engine.ts";
import { fakeModel, letters } from "./fake-model.ts";
import { Room, requireRoomForWeights } from "./room.ts";

/** An engine on a machine with so much memory free, in bytes, and what a request on it hears last. */
function world(freeBytes: () => number) {
  const { mlx, model } = fakeModel({ next: () => 1, contextLength: 100_000 });
  const clock = { nowMs: () => 0 };
  const engine = new Engine({ mlx, model, text: letters, clock, defaults: { temperature: 0 }, freeBytes });
  const ask = (id: string, prompt: number, maxTokens: number) => {
    let last: unknown;
    engine.submit(
      {
        id: id as RequestId,
        model: "m",
        prompt: { type: "tokens", tokens: Array.from({ length: prompt }, (_, i) => i % 20) },
        sampling: {},
        stop: [],
        maxTokens,
      },
      {
        delta: (delta) => {
          if (delta.type === "finish") last = [delta.reason, delta.usage.completionTokens];
        },
        failed: (error) => {
          last = problemBody(error);
        },
      },
    );
    return () => last;
  };
  const run = () => {
    while (engine.step());
  };
  return { engine, ask, run };
}

const refusal = {
  kind: "doesNotFit",
  message: expect.stringMatching(
    /^256 more tokens of context take 0\.\d kB beside 128 MB .*, and 100 MB of memory are free$/,
  ),
  remedy: expect.stringContaining("exo stop"),
};

test("an answer that outgrows the memory ends with both numbers, another goes on", () => {
  let free = 1e9;
  const { ask, run, engine } = world(() => free);
  const long = ask("long", 250, 300);
  const short = ask("short", 10, 200);
  for (let step = 0; step < 5; step++) engine.step();
  free = 100e6;
  run();
  expect([long(), short()]).toEqual([refusal, ["length", 200]]);
});

test("a prompt is refused before the chunk that does not fit", () => {
  let free = 1e9;
  const { ask, run, engine } = world(() => free);
  const long = ask("long", 2_000, 5);
  engine.step();
  free = 100e6;
  run();
  const again = ask("again", 200, 5);
  run();
  expect([long(), again()]).toEqual([
    { ...refusal, message: expect.stringMatching(/^512 more tokens of context take/) },
    ["length", 5],
  ]);
});

test("a first chunk is refused where others have shown that it does not fit", () => {
  let free = 1e9;
  const { ask, run } = world(() => free);
  const before = ask("before", 10, 5);
  run();
  free = 5;
  const after = ask("after", 20, 5);
  run();
  expect([before(), after()]).toEqual([
    ["length", 5],
    {
      ...refusal,
      message: expect.stringMatching(
        /^256 more tokens of context take 0\.\d kB, and 0\.0 kB of memory are free$/,
      ),
    },
  ]);
});

test("the room that a cut sequence still has is not what its rows take", () => {
  const room = new Room({ freeBytes: () => 2e9, relieve: () => {} });
  // 256 rows of 1 MB each, then 2,048 that were cut to 256.
  room.require({ held: 256, nbytes: 256e6 }, 1);
  room.require({ held: 256, nbytes: 2048e6 }, 0);
  expect(() => room.require({ held: 0, nbytes: 0 }, 512)).not.toThrow();
});

test("what is kept for requests to come is given up first", () => {
  let kept = 0;
  const { ask, run, engine } = world(() => (engine.load.prefixBytes > 0 ? 0 : 1e9));
  const first = ask("first", 200, 5);
  run();
  kept = engine.load.prefixBytes;
  const second = ask("second", 300, 300);
  run();
  expect([kept > 0, first(), second()]).toEqual([true, ["length", 5], ["length", 300]]);
});

test("weights that do not fit are refused with both numbers", () => {
  expect(() => requireRoomForWeights("m", 12.3e9, 3.1e9)).toThrow(
    "m takes 12.3 GB beside 128 MB to work in, and 3.1 GB of memory are free",
  );
});
