import { expect, test } from "bun:test";
import { arrivalTimes, rampTimes } from "#actors/supervisor/bench/arrivals";
import { randomOf } from "#actors/supervisor/bench/random";
import { meanOf, stdOf } from "#actors/supervisor/bench/statistics";
import { benchmark, type World } from "./bench-world.ts";

const samplesOf = ({ cells }: World, cell = 0) => cells[cell]?.runs.flatMap(({ samples }) => samples) ?? [];
const answerMs = { firstMs: 100, gapMs: 10 };

test("concurrent streams each send their next request as soon as one ends", async () => {
  const world = await benchmark(
    "  - {name: s, output_tokens: 11, load: {type: concurrent, streams: 2, requests: 5}}",
    { speeds: answerMs },
  );
  expect(samplesOf(world).map(({ sentMs, endMs }) => [sentMs, endMs])).toEqual([
    [0, 200],
    [0, 200],
    [200, 400],
    [200, 400],
    [400, 600],
  ]);
});

test("after its duration a load sends nothing more, and tokens that come later do not count", async () => {
  const world = await benchmark(
    "  - {name: s, output_tokens: 11, load: {type: concurrent, streams: 1, duration: 300ms}}",
    { speeds: answerMs },
  );
  const { summary, runs } = world.cells[0] ?? {};
  // Of the second answer, the first token comes at 300.
  expect([runs?.map(({ windowMs }) => windowMs), summary?.requests, summary?.totalTps]).toEqual([
    [300],
    2,
    40,
  ]);
});

test("throughput sends all at once and counts the wait from the start", async () => {
  const world = await benchmark("  - {name: s, output_tokens: 11, load: {type: throughput, requests: 3}}", {
    speeds: { ...answerMs, slots: 1 },
  });
  expect(samplesOf(world).map(({ sentMs, firstMs, endMs }) => [sentMs, firstMs, endMs])).toEqual([
    [0, 100, 200],
    [0, 300, 400],
    [0, 500, 600],
  ]);
});

test("in rate mode latency counts from when a request was due, not from when it could be sent", async () => {
  const load = "{type: rate, rate: 10/s, arrival: constant, duration: 300ms, max_concurrency: 1}";
  const world = await benchmark(`  - {name: s, output_tokens: 11, load: ${load}}`, { speeds: answerMs });
  const { summary } = world.cells[0] ?? {};
  expect(samplesOf(world).map(({ scheduledMs, sentMs }) => [scheduledMs, sentMs])).toEqual([
    [0, 0],
    [100, 200],
    [200, 400],
  ]);
  expect([summary?.ttft?.min, summary?.ttft?.max, summary?.e2e?.max]).toEqual([100, 300, 400]);
});

test("a rate load that is answered in time gives no more than is offered: its window is its duration", async () => {
  const load = "{type: rate, rate: 1/s, arrival: constant, duration: 3s}";
  const world = await benchmark(`  - {name: s, output_tokens: 11, load: ${load}}`, { speeds: answerMs });
  const late = await benchmark(`  - {name: s, output_tokens: 11, load: ${load}}`, {
    speeds: { firstMs: 1900, gapMs: 10 },
  });
  const found = ({ cells: [cell] }: World) => [cell?.runs[0]?.windowMs, cell?.summary.requestsPerS];
  expect([found(world), world.cells[0]?.summary.totalTps, found(late)]).toEqual([
    [3000, 1],
    11,
    [4000, 0.75],
  ]);
});

test("a replay sends at the trace's times and of the trace's lengths, in time with its speed", async () => {
  const trace = [
    { timestamp: 5000, input_length: 30, output_length: 3 },
    { timestamp: 6000, input_length: 40, output_length: 4 },
    { timestamp: 9000, input_length: 50, output_length: 5 },
  ];
  const world = await benchmark("  - {name: s, data: {trace: t.jsonl}, load: {type: replay, speed: 2}}", {
    files: { "t.jsonl": trace.map((each) => JSON.stringify(each)).join("\n") },
  });
  expect(
    samplesOf(world).map(({ scheduledMs, promptTokens, outputTokens }) => [
      scheduledMs,
      promptTokens,
      outputTokens,
    ]),
  ).toEqual([
    [0, 30, 3],
    [500, 40, 4],
    [2000, 50, 5],
  ]);
});

test("a sweep finds one stream and saturation, then steps between them", async () => {
  const world = await benchmark(
    "  - {name: s, output_tokens: 11, load: {type: sweep, steps: 3, per_step: 10s, max_concurrency: 8}}",
    { speeds: { ...answerMs, slots: 4 } },
  );
  expect(world.cells.map(({ load, offeredPerS }) => [load, offeredPerS])).toEqual(
    [
      ["1 stream", undefined],
      ["8 streams", undefined],
      ["step 1 of 3", 5 + (15 * 1) / 4 - 0.1],
      ["step 2 of 3", 5 + (15 * 2) / 4 - 0.2],
      ["step 3 of 3", 5 + (15 * 3) / 4 - 0.3],
    ].map(([load, rate]) => [load, typeof rate === "number" ? expect.closeTo(rate, 0) : undefined]),
  );
});

test("constant arrivals are even, and a ramp's rate grows evenly", () => {
  const constant = { rate: 4, arrival: "constant", burstiness: 1, durationMs: 1000 } as const;
  expect(arrivalTimes(constant, randomOf(1))).toEqual([0, 250, 500, 750]);
  const times = rampTimes({ from: 1, to: 3, durationMs: 10_000 });
  const within = (from: number, to: number) => times.filter((at) => at >= from && at < to).length;
  expect([times.length, within(0, 5000), within(5000, 10_000)]).toEqual([20, 8, 12]);
  expect(rampTimes({ from: 2, to: 2, durationMs: 2000 })).toEqual([0, 500, 1000, 1500]);
  expect(rampTimes({ from: 3, to: 1, durationMs: 10_000 }).every((at) => at >= 0 && at <= 10_000)).toBe(true);
});

test("poisson and gamma gaps have the mean of the rate and the spread of their shape", () => {
  const spread = (arrival: "poisson" | "gamma", burstiness: number) => {
    const times = arrivalTimes({ rate: 10, arrival, burstiness, requests: 20_000 }, randomOf(3));
    const gaps = times.map((at, i) => at - (times[i - 1] ?? 0));
    return [meanOf(gaps), stdOf(gaps) / meanOf(gaps)];
  };
  // A gamma gap of shape k varies by 1 / sqrt(k).
  expect([spread("poisson", 1), spread("gamma", 4), spread("gamma", 0.25)]).toEqual([
    [expect.closeTo(100, -1), expect.closeTo(1, 1)],
    [expect.closeTo(100, -1), expect.closeTo(0.5, 1)],
    [expect.closeTo(100, -1), expect.closeTo(2, 0)],
  ]);
});

test("one seed gives one schedule, another seed another", () => {
  const times = (seed: number) =>
    arrivalTimes({ rate: 1, arrival: "poisson", burstiness: 1, requests: 5 }, randomOf(seed));
  expect([times(1), times(1)]).toEqual([times(1), times(1)]);
  expect(times(1)).not.toEqual(times(2));
});

test("a server that refuses everything is not asked more than ten times a second by each stream", async () => {
  const world = await benchmark(
    "  - {name: s, output_tokens: 11, load: {type: concurrent, streams: 2, duration: 1s}}",
    { speeds: { fails: Array.from({ length: 1000 }, (_, i) => i) } },
  );
  expect([world.cells[0]?.summary.requests, world.cells[0]?.summary.errors]).toEqual([20, 20]);
});
