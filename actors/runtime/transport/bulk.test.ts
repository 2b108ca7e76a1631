import { expect, test } from "bun:test";
import { giveBack, writeInPieces } from "./bulk.ts";

const KIB = 1024;

/** A socket that takes what `takes` says of each write, in turn. */
function socket(takes: readonly number[]) {
  const calls: [from: number, length: number][] = [];
  const write = (_: Uint8Array, from: number, length: number) => {
    calls.push([from, length]);
    return Math.min(length, takes[calls.length - 1] ?? Number.POSITIVE_INFINITY);
  };
  return { calls, write };
}

test.each([
  ["takes all", [], 105 * KIB, [48, 48, 9]],
  ["takes a part of a piece", [48 * KIB, 7 * KIB], 55 * KIB, [48, 48]],
  ["takes nothing", [0], 0, [48]],
  ["is closed", [-1], 0, [48]],
])(
  "a socket that %s is written to in pieces of whole records until it is full",
  (_, takes, taken, pieces) => {
    const to = socket(takes);
    const wrote = writeInPieces(to, new Uint8Array(106 * KIB), KIB, 105 * KIB);
    expect({ wrote, calls: to.calls }).toEqual({
      wrote: taken,
      calls: pieces.map((kib, at) => [(1 + 48 * at) * KIB, kib * KIB]),
    });
  },
);

test("memory of many bytes is given back, and not where others may be in it", () => {
  const whole = new Uint8Array(64 * KIB);
  const few = new Uint8Array(KIB);
  const part = new Uint8Array(128 * KIB).subarray(64 * KIB);
  for (const bytes of [whole, few, part]) giveBack(bytes);
  expect([whole.length, few.length, part.length]).toEqual([0, KIB, 64 * KIB]);
});
