/** The metrics of a cell, by the definitions that the report prints. */
import type { Slo } from "./bench-config.ts";
import type { Run, Sample } from "./sample.ts";
import { meanOf, medianOf, spreadOf } from "./statistics.ts";
import type { EnergySummary, Summary } from "./summary.ts";
import { countedMs, isCounted } from "./window.ts";

export const DEFINITIONS: Readonly<Record<string, string>> = {
  ttft: "request sent (rate loads: scheduled) to the first piece that bears a token, ms",
  itl: "gap between pieces as they arrive, ms; itl_per_token divides a gap by the tokens of its piece",
  tpot: "(last token - first piece) / (output tokens after the first piece), ms",
  e2e: "request sent (rate loads: scheduled) to the last byte, ms",
  normalised: "e2e / output tokens, ms",
  prefill_tps:
    "prompt tokens not from the cache / (ttft - queue as the target tells it), median over requests",
  decode_tps: "1000 / tpot, median over requests",
  total_tps: "output tokens of all answered requests that arrived in the measuring window / window",
  requests_per_s: "requests answered in full / window",
  window:
    "from the first request of a run to the end of its duration (rate loads: or of their last answer, if that is later), without the time in which a context was filled",
  goodput: "requests per second that met every limit of slo",
  percentiles: "linear interpolation on raw samples; p99 is left out below 100 samples",
  in_process:
    "a target in process shares the client's event loop up to the gateway; its engine is a process of its own",
  answers: "share of questions with a known answer that are answered right, greedily",
  tools: "share of questions that are answered by the right call of a tool, greedily",
  energy:
    "what the named source counts over the runs; whPerRequest and joules_per_token without the draw at rest, which is measured for 3 s before the first run",
  client_cpu:
    "processor time of the measuring process / time of the runs; in process it holds the gateway too",
  perplexity: "exp of the mean negative log-probability of the text's tokens, in parts of 2,000 characters",
  errors: "requests that failed, out of all; they enter no latency",
};

/** Of one run, or of several pooled: latencies over all their requests, rates over the sum of their windows. */
export function summaryOf(runs: readonly Run[], slo: Slo | undefined): Summary {
  const all = runs.flatMap(({ samples }) => samples);
  const good = all.filter(({ error }) => error === undefined);
  const seconds = sumOf(runs.map(countedMs)) / 1000;
  const tokens = sumOf(runs.map(tokensWithin));
  const answered = sumOf(runs.map((run) => answeredIn(run).length));
  const spread = (of: (sample: Sample) => number | undefined) => spreadOf(defined(good.map(of)));
  const median = (of: (sample: Sample) => number | undefined) => medianDefined(good.map(of));
  return {
    requests: all.length,
    errors: all.length - good.length,
    promptTokens: average(good.map(({ promptTokens }) => promptTokens)),
    cachedTokens: average(good.map(({ cachedTokens }) => cachedTokens)),
    outputTokens: average(good.map(({ outputTokens }) => outputTokens)),
    ...present({
      ttft: spread(ttftOf),
      firstReasoning: spread((each) => since(each, each.firstReasoningMs)),
      firstAnswer: spread((each) => since(each, each.firstAnswerMs)),
      itl: spreadOf(good.flatMap(({ pieces }) => pieces.slice(1).map(([gap]) => gap))),
      itlPerToken: spreadOf(good.flatMap(({ pieces }) => pieces.slice(1).map(([gap, count]) => gap / count))),
      tpot: spread(tpotOf),
      e2e: spread(e2eOf),
      normalised: spread((each) => (each.outputTokens > 0 ? e2eOf(each) / each.outputTokens : undefined)),
      prefillTps: median(prefillTpsOf),
      decodeTps: median((each) => over(1000, tpotOf(each))),
    }),
    totalTps: seconds > 0 ? tokens / seconds : 0,
    requestsPerS: seconds > 0 ? answered / seconds : 0,
    ...(slo && seconds > 0 && { goodput: goodOnes(runs, slo) / seconds }),
    ...present({
      clientCpu: meanOrNot(defined(runs.map(({ clientCpu }) => clientCpu))),
      energy: energyOf(runs),
    }),
  };
}

const meanOrNot = (values: readonly number[]): number | undefined =>
  values.length === 0 ? undefined : meanOf(values);

/** Over all that the runs drew, also for answers that ended after the window. */
function energyOf(runs: readonly Run[]): EnergySummary | undefined {
  const known = runs.flatMap(({ energy, samples }) => (energy ? [{ ...energy, samples }] : []));
  const good = known.flatMap(({ samples }) => samples.filter(({ error }) => error === undefined));
  const [joules, seconds] = [
    sumOf(known.map((each) => each.joules)),
    sumOf(known.map((each) => each.seconds)),
  ];
  if (known.length === 0 || known.length < runs.length || good.length === 0 || seconds <= 0) return undefined;
  const baselines = defined(known.map(({ baselineWatts }) => baselineWatts));
  const baselineWatts = baselines.length === known.length ? meanOf(baselines) : undefined;
  // Noise at rest must not make an answer give energy back.
  const net = baselineWatts === undefined ? undefined : Math.max(0, joules - baselineWatts * seconds);
  const tokens = sumOf(good.map(({ outputTokens }) => outputTokens));
  return {
    watts: joules / seconds,
    grossWhPerRequest: joules / JOULES_PER_WH / good.length,
    ...present({
      baselineWatts,
      whPerRequest: net === undefined ? undefined : net / JOULES_PER_WH / good.length,
      joulesPerToken: net === undefined || tokens === 0 ? undefined : net / tokens,
    }),
  };
}

const JOULES_PER_WH = 3600;
const sumOf = (values: readonly number[]): number => values.reduce((sum, each) => sum + each, 0);

const since = ({ scheduledMs }: Sample, ms: number | undefined): number | undefined =>
  ms === undefined ? undefined : ms - scheduledMs;

export const ttftOf = (sample: Sample): number | undefined => since(sample, sample.firstMs);
export const e2eOf = ({ scheduledMs, endMs }: Sample): number => endMs - scheduledMs;

/** Of the last token, not the last byte: what follows it is no decoding. */
export function tpotOf({ pieces, outputTokens }: Sample): number | undefined {
  if (pieces.length < 2 || outputTokens < 2) return undefined;
  const first = pieces[0]?.[1] ?? 1;
  const afterFirst = outputTokens - first;
  const spentMs = pieces.slice(1).reduce((sum, [gap]) => sum + gap, 0);
  return afterFirst > 0 ? spentMs / afterFirst : undefined;
}

/** The wait before sending is no prefill either; a target that counts no prompt, or has all of it cached, shows no rate. */
function prefillTpsOf(sample: Sample): number | undefined {
  const tokens = sample.promptTokens - sample.cachedTokens;
  if (sample.firstMs === undefined || tokens <= 0) return undefined;
  const ms = sample.firstMs - sample.sentMs - (sample.queueMs ?? 0);
  return over(tokens * 1000, ms);
}

const over = (amount: number, divisor: number | undefined): number | undefined =>
  divisor === undefined || divisor <= 0 ? undefined : amount / divisor;

function tokensWithin(run: Run): number {
  let tokens = 0;
  for (const { sentMs, pieces, error } of run.samples) {
    if (error !== undefined) continue;
    let at = sentMs;
    for (const [gap, count] of pieces) {
      at += gap;
      if (isCounted(at, run)) tokens += count;
    }
  }
  return tokens;
}

const answeredIn = (run: Run): Sample[] =>
  run.samples.filter(({ error, endMs }) => error === undefined && isCounted(endMs, run));

function goodOnes(runs: readonly Run[], slo: Slo): number {
  const met = (limit: number | undefined, value: number | undefined) =>
    limit === undefined || (value !== undefined && value <= limit);
  return runs
    .flatMap(answeredIn)
    .filter(
      (each) => met(slo.ttft, ttftOf(each)) && met(slo.tpot, tpotOf(each) ?? 0) && met(slo.e2e, e2eOf(each)),
    ).length;
}

const defined = (values: readonly (number | undefined)[]): number[] =>
  values.filter((each) => each !== undefined);

function medianDefined(values: readonly (number | undefined)[]): number | undefined {
  const known = defined(values);
  return known.length === 0 ? undefined : medianOf(known);
}

const average = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, each) => sum + each, 0) / values.length;

type Present<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };
const present = <T extends object>(fields: T): Present<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<T>;

/** A cell's value of a metric that comparisons and limits name; undefined where it was not measured. */
export function metricOf(summary: Summary, metric: string): number | undefined {
  const simple: Readonly<Record<string, number | undefined>> = {
    decode_tps: summary.decodeTps,
    prefill_tps: summary.prefillTps,
    total_tps: summary.totalTps,
    requests_per_s: summary.requestsPerS,
    goodput: summary.goodput,
    errors: summary.errors,
    joules_per_token: summary.energy?.joulesPerToken,
  };
  if (metric in simple) return simple[metric];
  const [name, p] = metric.split("_");
  const spread = { ttft: summary.ttft, itl: summary.itl, tpot: summary.tpot, e2e: summary.e2e }[String(name)];
  return { p50: spread?.p50, p90: spread?.p90, p99: spread?.p99 }[String(p)];
}
