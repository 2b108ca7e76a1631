/** Timing a few steps of layers, for planning. */
import { expect, test } from "bun:test";
import { Paces } from "./engine/paces.ts";
import { measured } from "./measure.ts";
import { stagesOf } from "./tiny-group.ts";

/** A clock that goes on by `stepMs` whenever it is read. */
function ticking(stepMs: number) {
  let nowMs = 0;
  return { nowMs: () => (nowMs += stepMs), rest: async () => {} };
}

const told = (steps: readonly { kind: string; rows: number; until: string; depth: number }[]) =>
  steps.map(({ kind, rows, until, depth }) => `${kind} of ${rows} until ${until} at ${depth}`);

test("the first layers, those between, the last and all of them are timed with one, two, four and eight answers", async () => {
  const [first, middle, last] = stagesOf([1, 3]);
  const [whole] = stagesOf([]);
  if (!first || !middle || !last || !whole) throw new Error("four parts");
  const of = async ({ layers }: typeof first) => told((await measured(layers, ticking(0.1))).steps);
  const steps = (until: string) => [
    `prompt of 256 until ${until} at 48`,
    // Depths say that the steps before did not count: 8 of 40 single ones, 2 of 7 of each other kind.
    ...(
      [
        [1, 328],
        [2, 348],
        [4, 355],
        [8, 362],
      ] as const
    ).map(([rows, depth]) => `decode of ${rows} until ${until} at ${depth}`),
  ];
  expect([await of(first), await of(middle), await of(last), await of(whole)]).toEqual([
    steps("layers"),
    steps("layers"),
    steps("head"),
    steps("head"),
  ]);
});

test("steps that come right after a prompt are not counted, as they are slower than those that follow", async () => {
  const [whole] = stagesOf([]);
  if (!whole) throw new Error("one part");
  let nowMs = 0;
  let steps = 0;
  const cold = { nowMs: () => (nowMs += steps > 15 ? 1 : 20), rest: async () => void steps++ };
  const pace = await measured(whole.layers, cold);
  expect(pace.steps.map(({ kind, rows, ms }) => [kind, rows, ms])).toEqual([
    ["prompt", 256, 20],
    ["decode", 1, 1],
    ["decode", 2, 1],
    ["decode", 4, 1],
    ["decode", 8, 1],
  ]);
});

test("where a prompt takes all the time, single steps before it count that are warmed up", async () => {
  const [whole] = stagesOf([]);
  if (!whole) throw new Error("one part");
  let nowMs = 0;
  let steps = 0;
  // Eight steps are slow, those that follow are fast, and after the prompt there is no time left.
  const took = () => (steps < 7 ? 5 : steps < 16 ? 1 : 2_000);
  const pace = await measured(whole.layers, {
    nowMs: () => (nowMs += took()),
    rest: async () => void steps++,
  });
  expect(pace.steps.map(({ kind, rows, ms }) => [kind, rows, ms])).toEqual([
    ["decode", 1, 1],
    ["prompt", 256, 1],
  ]);
});

test("a machine that is slow is not timed for long", async () => {
  const [whole] = stagesOf([]);
  if (!whole) throw new Error("one part");
  const { steps } = await measured(whole.layers, ticking(1_000));
  expect(steps.map(({ kind, rows }) => [kind, rows])).toEqual([["decode", 1]]);
});

test("prompts of all lengths leave room for answers, and are told as those of a round number of tokens", () => {
  const paces = new Paces(() => 0);
  for (let rows = 64; rows < 84; rows++) paces.note({ kind: "prompt", rows, until: "token" }, 0, rows);
  paces.note({ kind: "prompt", rows: 2_000, until: "token" }, 0, 4_000);
  paces.note({ kind: "decode", rows: 2, until: "token" }, 5, 7);
  expect(paces.told({ start: 0, end: 4 }).steps).toEqual([
    { kind: "prompt", rows: 64, until: "token", depth: 0, ms: 64 },
    { kind: "prompt", rows: 512, until: "token", depth: 0, ms: 1024 },
    { kind: "decode", rows: 2, until: "token", depth: 5, ms: 7 },
  ]);
});

test("of a kind of step the median of the last ones is told, and kinds that say nothing are not kept", () => {
  const paces = new Paces(() => 0);
  const decode = (rows: number) => ({ kind: "decode", rows, until: "token" }) as const;
  for (let at = 0; at < 40; at++) paces.note(decode(1), 10 + at, at < 20 ? 100 : 5);
  paces.note(decode(3), 10, 5);
  paces.note({ kind: "prompt", rows: 12, until: "token" }, 0, 5);
  const { fresh } = paces;
  expect([fresh, paces.told({ start: 0, end: 4 }), paces.fresh]).toEqual([
    40,
    { layers: { start: 0, end: 4 }, steps: [{ ...decode(1), depth: 34, ms: 5 }] },
    0,
  ]);
});
