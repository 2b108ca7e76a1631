import { expect, test } from "bun:test";
import { tableReport } from "#actors/supervisor/bench/table-report";
import { benchmark } from "./bench-world.ts";
import { reportOf } from "./sample-report.ts";

test("a slow first request is warm-up and in no figure; without warm-up it is in all of them", async () => {
  const speeds = { firstMs: (nth: number) => (nth === 0 ? 5000 : 100), gapMs: 10 };
  const slowest = async (warmup: number) => {
    const { cells } = await benchmark(`  - {name: s, output_tokens: 11, warmup: ${warmup}, repeat: 3}`, {
      speeds,
    });
    return [cells[0]?.summary.requests, cells[0]?.summary.ttft?.max, cells[0]?.runs[0]?.windowMs];
  };
  expect([await slowest(1), await slowest(0)]).toEqual([
    [3, 100, 200],
    [3, 5000, 5100],
  ]);
});

test("runs of different speed are shown as a spread and called noisy", async () => {
  // Prefills of 100, 200 and 300 ms: 5120, 2560 and 1706.7 tok/s.
  const { cells } = await benchmark("  - {name: s, output_tokens: 11, repeat: 3}", {
    speeds: { firstMs: (nth) => 100 * (nth + 1), gapMs: 10 },
  });
  const [cell] = cells;
  expect([cell?.perRun.prefill_tps?.map(Math.round), cell?.perRun.decode_tps, cell?.noisy]).toEqual([
    [5120, 2560, 1707],
    [100, 100, 100],
    true,
  ]);
  // std (n - 1) of the three over their mean.
  expect(cell?.variation).toBeCloseTo(0.5677, 3);
  expect(tableReport({ ...reportOf(), cells })).toContain("56.8 % noisy");
});

test("the rate of all streams is tokens over time, not the fastest stream times their number", async () => {
  // Two streams: one answers in 200 ms, the other in 2 s; each has one request.
  const { cells } = await benchmark(
    "  - {name: s, output_tokens: 11, load: {type: concurrent, streams: 2, requests: 2}}",
    { speeds: { firstMs: (nth) => (nth === 0 ? 100 : 1900), gapMs: 10 } },
  );
  const { totalTps, requestsPerS } = cells[0]?.summary ?? {};
  expect([totalTps, requestsPerS]).toEqual([11, 1]);
});

test("tokens of an answer that failed count for no rate, and the table says how many failed", async () => {
  const { cells } = await benchmark("  - {name: s, output_tokens: 11, load: {type: single, requests: 2}}", {
    speeds: { firstMs: 100, gapMs: 10, breaksAfter: (nth) => (nth === 1 ? 6 : undefined) },
  });
  const { summary, runs } = cells[0] ?? {};
  const [good, broken] = runs?.[0]?.samples ?? [];
  // 200 ms for the good one; 150 ms and the pause after a failure for the other.
  expect([good?.error, broken?.error, broken?.pieces.length, summary?.errors]).toEqual([
    undefined,
    "the answer ended in the middle",
    6,
    1,
  ]);
  expect(summary?.totalTps).toBeCloseTo((11 * 1000) / (runs?.[0]?.windowMs ?? 0));
  expect(tableReport({ ...reportOf(), cells })).toContain("1 stream (1 of 2 failed)");
});

test("thoughts and answers have their own first tokens", async () => {
  const { cells } = await benchmark("  - {name: s, output_tokens: 6}", {
    speeds: { firstMs: 100, gapMs: 10, thinks: 4, knowsIds: false },
  });
  const { ttft, firstReasoning, firstAnswer } = cells[0]?.summary ?? {};
  expect([ttft?.mean, firstReasoning?.mean, firstAnswer?.mean]).toEqual([100, 100, 140]);
  expect(tableReport({ ...reportOf(), cells })).toContain(
    "first thought 0.100 0.100 – s, first answer 0.140 0.140 – s",
  );
});
