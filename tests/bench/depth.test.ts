/** Requests that are sent beside the measured ones: they fill a context or warm the target, and must be in no figure. */
import { expect, test } from "bun:test";
import { benchmark } from "./bench-world.ts";

const DEEP = "name: s, prompt_tokens: 50, context_fill: 200, output_tokens: 11";

test("the time that filling a context takes is in no rate", async () => {
  // The first of each two requests fills: it takes 2 s, the measured one 200 ms.
  const { cells } = await benchmark(`  - {${DEEP}, repeat: 2}`, {
    speeds: { firstMs: (nth) => (nth % 2 === 0 ? 2000 : 100), gapMs: 10 },
  });
  const { totalTps, requestsPerS, decodeTps, ttft } = cells[0]?.summary ?? {};
  expect([totalTps, requestsPerS, decodeTps, ttft?.max]).toEqual([55, 5, 100, 100]);
});

test("what other streams answer while one fills its context counts for as little as the time does", async () => {
  // Streams A and B fill until 100; A answers until 300 and fills until 1300, B answers until 1200.
  const { cells } = await benchmark(`  - {${DEEP}, load: {type: concurrent, streams: 2, requests: 3}}`, {
    speeds: { firstMs: (nth) => [100, 100, 100, 1000, 1000, 100][nth] ?? 0, gapMs: 10 },
  });
  const [run] = cells[0]?.runs ?? [];
  expect([run?.fills, run?.windowMs]).toEqual([
    [
      [0, 100],
      [0, 100],
      [300, 1300],
    ],
    1500,
  ]);
  // Outside of that are 400 ms, with 11 tokens of each of A's answers; B's come while A fills.
  expect([cells[0]?.summary.totalTps, cells[0]?.summary.requestsPerS]).toEqual([55, 5]);
});

test("a context that could not be filled is a failed request, and its prompt is not asked", async () => {
  const { cells, target, done } = await benchmark(`  - {${DEEP}, load: {type: single, requests: 2}}`, {
    speeds: { fails: [0] },
  });
  const { requests, errors } = cells[0]?.summary ?? {};
  const { length } = target.asked.filter(({ body }) => body.stream);
  expect([requests, errors, length, done.warnings]).toEqual([
    2,
    1,
    3,
    [
      "s · m · 200+50×11 · 1 stream: 1 of 2 requests failed, the first with: the context was not filled: HTTP 503: out of order",
      expect.stringContaining("kept no cache of the filled context"),
    ],
  ]);
});

test("Ctrl-C while a context is filled is no failure", async () => {
  const { cells, done } = await benchmark(`  - {${DEEP}, load: {type: single, requests: 2}}`, {
    abortMs: 350,
  });
  expect([cells[0]?.summary.requests, cells[0]?.summary.errors, done.warnings.length]).toEqual([1, 0, 1]);
});

test("a warm-up that failed is said", async () => {
  const { cells, done } = await benchmark("  - {name: s, output_tokens: 11, warmup: 3}", {
    speeds: { fails: [0, 2] },
  });
  expect([cells[0]?.summary.errors, done.warnings]).toEqual([
    0,
    ["s · m · 512×11 · 1 stream: 2 of 3 warm-up requests failed, the first with: HTTP 503: out of order"],
  ]);
});
