/** Requests, cancels and faults by chance, from one seed: an answer is right as far as it goes, and nothing is left behind. */
import { expect, setDefaultTimeout, test } from "bun:test";
import type { RequestId } from "#protocol/ids";
import type { Carried } from "./memory-group.ts";
import { mlx, OVER, PROMPT, tokensOf, world } from "./tiny-group.ts";

setDefaultTimeout(120_000);

const SEEDS = Number(process.env.SEEDS ?? 4);
const STEPS = 400;
const SPLITS = [[2], [1, 3], [1, 2, 3], [3]];

/** Numbers in [0, 1) from a seed: splitmix32. */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let x = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
  };
}

const prompts = Array.from({ length: 6 }, (_, i) => [
  ...PROMPT.slice(i % 2, 30 + 9 * i),
  ...PROMPT.slice(0, i).toReversed(),
]);
const asked = (i: number) => ({
  sampling: i % 3 === 0 ? { temperature: 0 } : { seed: i },
  maxTokens: 12 + 7 * i,
});
const wanted = (() => {
  const { ask, run } = world(undefined);
  return prompts.map((prompt, i) => {
    const heard = ask(`r${i}`, prompt, asked(i));
    run();
    return tokensOf(heard);
  });
})();

function storm(seed: number) {
  const random = chance(seed);
  const cuts = SPLITS[seed % SPLITS.length] ?? [2];
  let broke = false;
  const spoilt = (carried: Carried): Carried => {
    if (!carried.body || random() > 0.01) return carried;
    const values = new Float32Array(carried.body.slice().buffer);
    values[Math.floor(random() * values.length)] = Number.POSITIVE_INFINITY;
    return { ...carried, body: new Uint8Array(values.buffer) };
  };
  const link = (carried: Carried) => {
    const fate = random();
    if (fate < 0.02) return [carried, carried];
    return [spoilt(carried)];
  };
  const freeBytes = [...cuts, 4].map(() => () => (random() < 0.03 ? 0 : 1e9));
  const group = world(cuts, { freeBytes, limits: { prefillChunk: 16, activeMax: 5 } }, { link });
  const before = mlx.liveHandles();
  const all: { at: number; heard: ReturnType<typeof group.ask> }[] = [];
  for (let step = 0; step < STEPS; step++) {
    if (random() < 0.1) {
      const at = Math.floor(random() * prompts.length);
      all.push({ at, heard: group.ask(`s${all.length}`, prompts[at] ?? [], asked(at)) });
    }
    if (random() < 0.02) group.engine.cancel(`s${Math.floor(random() * all.length)}` as RequestId);
    group.step();
  }
  group.run();
  broke = group.parted.length > 0;
  const ends = all.map(({ at, heard }) => {
    const tokens = tokensOf(heard);
    const last = heard.at(-1);
    const isWhole = last !== undefined && "type" in last && last.type === "finish";
    const right = Bun.deepEquals(tokens, isWhole ? wanted[at] : wanted[at]?.slice(0, tokens.length));
    return !last ? "never heard of" : !right ? "wrong" : isWhole ? "whole" : "failed";
  });
  for (const member of group.members) member.leave(OVER);
  const count = (end: string) => ends.filter((each) => each === end).length;
  return {
    broke,
    wrong: count("wrong") + count("never heard of"),
    whole: count("whole"),
    failed: count("failed"),
    left: mlx.liveHandles() - before,
  };
}

test(`whatever happens on the way, no answer is wrong and every one ends (SEEDS=n for more than ${SEEDS})`, () => {
  const results = Array.from({ length: SEEDS }, (_, seed) => storm(seed));
  const sum = (of: "whole" | "failed") => results.reduce((all, each) => all + each[of], 0);
  expect(results.map(({ broke, wrong, left }) => ({ broke, wrong, left }))).toEqual(
    results.map(() => ({ broke: false, wrong: 0, left: 0 })),
  );
  expect([sum("whole") > 10 * SEEDS, sum("failed") > SEEDS]).toEqual([true, true]);
});
