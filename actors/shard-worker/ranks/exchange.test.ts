/** What ranks tell each other within a pass, with links and a clock of the test's. */
import { expect, test } from "bun:test";
import type { Address } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import { ShardWorker } from "#protocol/shard-worker";
import { Exchange, type ShareMessage } from "./exchange.ts";

const stages = ["a/worker-0", "b/worker-0", "c/worker-0"] as Address[];
const MIDDLE = 1;

/** The middle rank of three; `next` is what happens while it waits, time after time. */
function middle(next: (rank: Exchange) => void) {
  let nowMs = 0;
  const told: string[] = [];
  const waits: number[] = [];
  const exchange: Exchange = new Exchange(
    { instance: "i", epoch: 3, stages, stage: MIDDLE, ranks: [3] },
    {
      tell(to, message, body) {
        told.push(`${to} ${(message as ShareMessage).number} ${body?.length}`);
        return "taken";
      },
      take(withinMs) {
        nowMs += withinMs;
        waits.push(withinMs);
        next(exchange);
      },
      nowMs: () => nowMs,
    },
  );
  return { exchange, told, waits };
}

const share = (number: number, epoch = 3): ShareMessage =>
  ShardWorker.Share({ instance: "i", epoch, number });
const [first, , last] = stages as [Address, Address, Address];

/** What is thrown, if it is a Problem. */
function problemOf(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    if (error instanceof Problem) return error.message;
    throw error;
  }
}

test("parts come in the order of the ranks, whoever is first, and one that is ahead is kept", () => {
  const { exchange, told } = middle((rank) => {
    rank.arrived(share(0, 2), first, Uint8Array.of(9));
    rank.arrived(share(0), last, Uint8Array.of(3));
    rank.arrived(share(1), last, Uint8Array.of(6, 6));
    rank.arrived(share(0), first, Uint8Array.of(1));
    rank.arrived(share(1), first, Uint8Array.of(4));
  });
  const swapped = [exchange.swap(Uint8Array.of(2)), exchange.swap(Uint8Array.of(5))];
  expect([swapped.map((parts) => parts.map((part) => [...part])), told]).toEqual([
    [
      [[1], [2], [3]],
      [[4], [5], [6, 6]],
    ],
    ["a/worker-0 0 1", "c/worker-0 0 1", "a/worker-0 1 1", "c/worker-0 1 1"],
  ]);
});

test("who has others' parts already lets its own be carried before it goes on, and waits no longer", () => {
  const { exchange, waits } = middle(() => {});
  for (const from of [first, last]) exchange.arrived(share(0), from, Uint8Array.of(1));
  exchange.swap(Uint8Array.of(2));
  expect(waits).toEqual([0]);
});

test("a part that is larger than a link takes at once goes in pieces, each after the others' last", () => {
  const long = 20 * 1024 * 1024;
  let number = 0;
  const { exchange, told } = middle((rank) => {
    const left = Math.min(8 * 1024 * 1024, long - number * 8 * 1024 * 1024);
    for (const from of [first, last]) rank.arrived(share(number), from, new Uint8Array(left).fill(number));
    number++;
  });
  const parts = exchange.swap(new Uint8Array(long));
  expect([parts.map(({ length }) => length), parts[0]?.at(-1), told.length]).toEqual([
    [long, long, long],
    2,
    6,
  ]);
});

test("a rank that is silent, lost on the way, or known to be gone ends the exchange for good", () => {
  let waits = 0;
  const silent = middle((rank) => waits++ === 0 && rank.arrived(share(0), first, Uint8Array.of(1))).exchange;
  const gap = middle((rank) => rank.arrived(share(1), last, Uint8Array.of(1))).exchange;
  const gone = middle((rank) => rank.broke(new Problem("unavailable", "c was lost"))).exchange;
  const own = Uint8Array.of(2);
  expect([silent, gap, gone, gone].map((each) => problemOf(() => each.swap(own)))).toEqual([
    "rank 2 of 3 of i sent nothing for 30 s",
    "a part of rank 2 of i was lost on the way",
    "c was lost",
    "c was lost",
  ]);
});
