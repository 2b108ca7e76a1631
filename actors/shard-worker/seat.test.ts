/** Who sits where in a group, and who speaks to whom. */
import { expect, test } from "bun:test";
import type { Address } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import { seatOf } from "./seat.ts";

const workers = ["a", "b", "c", "d"].map((node) => `${node}/worker-0` as Address);

/** By letter: `2.1 of bc: a > d`, its stage and rank, its stage's workers, from whom passes come and to whom they go on. */
function shown(ranks: number[] | undefined, stage: number): string {
  const seat = seatOf({ instance: "i", epoch: 1, stages: workers, stage, ...(ranks && { ranks }) });
  const letters = (some: readonly Address[]) => some.map((each) => each[0]).join("");
  return `${seat.stage}.${seat.rank} of ${letters(seat.team)}: ${letters([seat.before])} > ${letters(seat.next)}`;
}

const all = (ranks?: number[]) => workers.map((_, stage) => shown(ranks, stage));

test("passes begin at the last worker, and the first rank of a stage hands them on to all of the next", () => {
  expect([all(), all([4]), all([2, 1, 1]), all([1, 3]), all([2, 2])]).toEqual([
    ["0.0 of a: d > b", "1.0 of b: a > c", "2.0 of c: b > d", "3.0 of d: c > "],
    ["0.0 of abcd: d > ", "0.1 of abcd: d > ", "0.2 of abcd: d > ", "0.3 of abcd: d > "],
    ["0.0 of ab: d > c", "0.1 of ab: d > ", "1.0 of c: a > d", "2.0 of d: c > "],
    ["0.0 of a: d > bcd", "1.0 of bcd: a > ", "1.1 of bcd: a > ", "1.2 of bcd: a > "],
    ["0.0 of ab: d > cd", "0.1 of ab: d > ", "1.0 of cd: a > ", "1.1 of cd: a > "],
  ]);
});

test("stages that are not those of so many workers, and a worker that is none of them, are refused", () => {
  const refused = [() => shown([2, 1], 0), () => shown(undefined, 4)].map((work) => {
    try {
      return work();
    } catch (error) {
      return error instanceof Problem ? error.message : error;
    }
  });
  expect(refused).toEqual(["stages of 2 and 1 workers are not 4", "worker 4 is none of a group of 4"]);
});
