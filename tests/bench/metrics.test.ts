import { expect, test } from "bun:test";
import { benchmark } from "./bench-world.ts";

const round = (value: number | undefined) =>
  value === undefined ? undefined : Math.round(value * 1000) / 1000;

test("token times that are known give the metrics of the definitions", async () => {
  const { cells } = await benchmark("  - {name: s, prompt_tokens: 50, output_tokens: 11}", {
    speeds: { firstMs: 100, gapMs: 10 },
  });
  const [{ summary, runs } = { summary: undefined, runs: [] }] = cells;
  expect({
    window: runs.map(({ windowMs }) => windowMs),
    ttft: summary?.ttft,
    itl: [summary?.itl?.count, summary?.itl?.p50, summary?.itl?.p99],
    tpot: summary?.tpot?.mean,
    e2e: summary?.e2e?.mean,
    normalised: round(summary?.normalised?.mean),
    rates: [summary?.prefillTps, summary?.decodeTps, summary?.totalTps, summary?.requestsPerS].map(round),
    counts: [
      summary?.requests,
      summary?.errors,
      summary?.promptTokens,
      summary?.outputTokens,
      summary?.goodput,
    ],
  }).toEqual({
    window: [200],
    ttft: { count: 1, mean: 100, std: 0, min: 100, p50: 100, p90: 100, max: 100 },
    itl: [10, 10, undefined],
    tpot: 10,
    e2e: 200,
    normalised: round(200 / 11),
    rates: [500, 100, 55, 5],
    counts: [1, 0, 50, 11, undefined],
  });
});

test("a piece of several tokens is one gap as felt, and counts all its tokens", async () => {
  const { cells } = await benchmark("  - {name: s, prompt_tokens: 50, output_tokens: 12}", {
    speeds: { firstMs: 100, gapMs: 10, perPiece: 4 },
  });
  const { itl, itlPerToken, tpot, totalTps } = cells[0]?.summary ?? {};
  expect([itl?.mean, itlPerToken?.mean, tpot?.mean, round(totalTps)]).toEqual([
    40,
    10,
    10,
    round(12_000 / 180),
  ]);
});

test("a target that does not say how many tokens a piece bears has them spread evenly", async () => {
  const { cells, done } = await benchmark("  - {name: s, prompt_tokens: 50, output_tokens: 12}", {
    speeds: { firstMs: 100, gapMs: 10, perPiece: 4, knowsIds: false },
  });
  const { itl, itlPerToken, outputTokens } = cells[0]?.summary ?? {};
  expect([done.target?.api, itl?.mean, itlPerToken?.mean, outputTokens]).toEqual(["chat", 40, 10, 12]);
});

test("p99 is left out below 100 samples and given from 100 on", async () => {
  const spreads = await Promise.all(
    [100, 101].map(
      async (tokens) => (await benchmark(`  - {name: s, output_tokens: ${tokens}}`)).cells[0]?.summary.itl,
    ),
  );
  expect(spreads.map((spread) => [spread?.count, spread?.p99])).toEqual([
    [99, undefined],
    [100, 10],
  ]);
});

test("failed requests are counted, warned of and in no latency", async () => {
  const { cells, done } = await benchmark(
    "  - {name: s, output_tokens: 5, load: {type: single, requests: 4}}",
    {
      speeds: { firstMs: (nth) => 100 * (nth + 1), fails: [1, 2] },
    },
  );
  const { summary, runs } = cells[0] ?? {};
  expect([summary?.requests, summary?.errors, summary?.ttft?.max, summary?.ttft?.min]).toEqual([
    4, 2, 400, 100,
  ]);
  expect(runs?.[0]?.samples.map(({ error }) => error)).toEqual([
    undefined,
    "HTTP 503: out of order",
    "HTTP 503: out of order",
    undefined,
  ]);
  expect(done.warnings).toEqual([
    "s · m · 512×5 · 1 stream: 2 of 4 requests failed, the first with: HTTP 503: out of order",
  ]);
});

test("a request that takes longer than the timeout fails and says so", async () => {
  const { cells } = await benchmark("  - {name: s, output_tokens: 5, timeout: 2s}", {
    speeds: { firstMs: 3000 },
  });
  expect(cells[0]?.runs[0]?.samples.map(({ error }) => error)).toEqual(["no end within 2 s"]);
});

test("goodput counts the requests that met every limit", async () => {
  const { cells } = await benchmark(
    "  - {name: s, output_tokens: 11, load: {type: single, requests: 4}, slo: {ttft: 250ms, tpot: 10ms, e2e: 1s}}",
    { speeds: { firstMs: (nth) => 100 * (nth + 1), gapMs: 10 } },
  );
  const { goodput, requestsPerS } = cells[0]?.summary ?? {};
  expect([round(goodput), round(requestsPerS)]).toEqual([round(2 / 1.4), round(4 / 1.4)]);
});

test("without streaming there is no first token, but the rate of the whole", async () => {
  const { cells } = await benchmark("  - {name: s, output_tokens: 8, stream: false}");
  const { ttft, tpot, outputTokens } = cells[0]?.summary ?? {};
  expect([ttft, tpot, outputTokens, cells[0]?.summary.errors]).toEqual([undefined, undefined, 8, 0]);
});
