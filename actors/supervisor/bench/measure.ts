/** Runs one cell once: its load, with every request timed. */
import { arrivalTimes, rampTimes } from "./arrivals.ts";
import type { Cell, CellLoad } from "./grid.ts";
import { closedLoad, type Issue, type LoadPorts, openLoad, until } from "./loads.ts";
import type { PowerMeter } from "./power-meter.ts";
import type { Question } from "./question.ts";
import { randomOf } from "./random.ts";
import { INTERRUPTED, type Outcome, type RequestPorts, request } from "./request.ts";
import type { Run, Sample } from "./sample.ts";
import type { Recorded, Workload } from "./workload.ts";

/** A sweep has several loads in one cell; others have one without a label. */
export interface Measured {
  readonly step?: string;
  /** Requests per second that the load offers, where it does. */
  readonly offeredPerS?: number;
  readonly run: Run;
}

/** What is measured beside the requests, where it can be. */
export interface Meters {
  /** Energy of the machine. */
  readonly power?: PowerMeter;
  /** Milliseconds of processor time that this process has used so far. */
  readonly clientCpuMs: () => number;
}

export interface MeasurePorts extends Omit<RequestPorts, "timeoutMs"> {
  readonly meters: Meters;
  readonly workload: Workload;
  readonly recorded: readonly Recorded[];
  /** Called as soon as a request ended. */
  readonly ended: (sample: Sample) => void;
}

/** Requests as they will be, before anything is measured; returns what they showed. */
export async function warmUp(cell: Cell, ports: MeasurePorts): Promise<readonly Sample[]> {
  const samples: Sample[] = [];
  for (let i = 1; i <= cell.scenario.warmup && !ports.signal.aborted; i++) {
    const startMs = ports.clock.nowMs();
    const quiet = { ...ports, ended: () => {} };
    const found = await conversation(cell, { repeat: -i, index: -i }, { index: -i, startMs }, quiet);
    samples.push(...found.samples);
  }
  return samples;
}

export async function measure(cell: Cell, repeat: number, ports: MeasurePorts): Promise<readonly Measured[]> {
  const { load } = cell;
  if (load.type === "sweep") return await sweep(cell, load, repeat, ports);
  const offeredPerS = load.type === "rate" ? load.rate : undefined;
  const run = await runOf(cell, load, { repeat, stage: 0 }, ports);
  return [{ run, ...(offeredPerS !== undefined && { offeredPerS }) }];
}

type SimpleLoad = Exclude<CellLoad, { type: "sweep" }>;

interface Place {
  readonly repeat: number;
  /** Of a sweep: keeps the prompts of its steps apart. */
  readonly stage: number;
}

/** A server that refuses at once must not be asked a thousand times a second. */
const AFTER_FAILURE_MS = 100;

/** So many indices lie between the stages of a sweep. */
const STAGE_SPAN = 1_000_000;

async function runOf(
  cell: Cell,
  load: SimpleLoad,
  { repeat, stage }: Place,
  ports: MeasurePorts,
): Promise<Run> {
  const samples: Sample[] = [];
  const fills: Fill[] = [];
  const loadPorts: LoadPorts = ports;
  const send = async (issue: Issue) => {
    const at = { repeat, index: stage * STAGE_SPAN + issue.index };
    const { samples: found, fill } = await conversation(cell, at, issue, ports);
    samples.push(...found);
    if (fill) fills.push(fill);
    if (found.some(({ error }) => error !== undefined))
      await until(ports.clock.nowMs() + AFTER_FAILURE_MS, ports);
  };
  const { clock, meters } = ports;
  const [startMs, startCpuMs, startedPower] = [clock.nowMs(), meters.clientCpuMs(), meters.power?.begin()];
  const windowMs =
    load.type === "single" || load.type === "concurrent"
      ? await closedLoad(load, send, loadPorts)
      : await openLoad(
          {
            times: timesOf(cell, load, { repeat, stage }, ports),
            maxConcurrency: load.maxConcurrency,
            ...("durationMs" in load && load.durationMs !== undefined && { durationMs: load.durationMs }),
          },
          send,
          loadPorts,
        );
  const spentMs = clock.nowMs() - startMs;
  const energy = startedPower?.end();
  return {
    repeat,
    windowMs,
    ...(fills.length > 0 && { fills }),
    // What the user's Ctrl-C cut says nothing of the target.
    samples: samples.filter((sample) => !isCut(sample)),
    clientCpu: spentMs > 0 ? (meters.clientCpuMs() - startCpuMs) / spentMs : 0,
    ...(energy && { energy }),
  };
}

function timesOf(
  { scenario: { seed }, key }: Cell,
  load: Exclude<SimpleLoad, { type: "single" | "concurrent" }>,
  { repeat, stage }: Place,
  { recorded }: MeasurePorts,
): readonly number[] {
  switch (load.type) {
    case "rate":
      return arrivalTimes(load, randomOf(seed, key, repeat, stage, "arrivals"));
    case "ramp":
      return rampTimes(load);
    case "throughput":
      return Array.from({ length: load.requests }, () => 0);
    case "replay":
      return recorded.map(({ atMs = 0 }) => atMs / load.speed);
  }
}

/** When a context was filled: from and to, of the run. */
type Fill = readonly [fromMs: number, toMs: number];

/** All turns of one conversation; mostly there is one. */
async function conversation(
  { scenario }: Cell,
  { repeat, index }: { repeat: number; index: number },
  { startMs, scheduledMs }: Issue,
  ports: MeasurePorts,
): Promise<{ readonly samples: readonly Sample[]; readonly fill?: Fill }> {
  const { workload, clock, ended } = ports;
  const ask = (question: Question, dueMs?: number): Promise<Outcome> =>
    request(
      question,
      { startMs, scheduledMs: dueMs ?? clock.nowMs() - startMs },
      { ...ports, timeoutMs: scenario.timeoutMs },
    );
  const samples: Sample[] = [];
  const note = (sample: Sample) => {
    samples.push(sample);
    ended(sample);
    return sample.error === undefined;
  };
  const filling = workload.fill(repeat, index);
  const filled = filling && (await ask(filling)).sample;
  const fill = filled && { fill: [filled.sentMs, filled.endMs] as const };
  // Its prompt would be measured as if it stood after a context that is not there.
  if (filled?.error !== undefined) {
    note({ ...filled, error: isCut(filled) ? INTERRUPTED : `the context was not filled: ${filled.error}` });
    return { samples, ...fill };
  }
  const random = workload.random(repeat, index);
  let question: Question | undefined = workload.first(repeat, index);
  for (let turn = 1; question && !ports.signal.aborted; turn++) {
    const outcome = await ask(question, turn === 1 && !fill ? scheduledMs : undefined);
    if (!note(outcome.sample)) break;
    question = workload.next(turn, { question, ...outcome }, random);
  }
  return { samples, ...fill };
}

const isCut = ({ error }: Sample): boolean => error === INTERRUPTED;

/** As GuideLLM does: one stream, then all that fits, then constant rates between what these two answered. */
async function sweep(
  cell: Cell,
  { steps, perStepMs, maxConcurrency }: Extract<CellLoad, { type: "sweep" }>,
  repeat: number,
  ports: MeasurePorts,
): Promise<readonly Measured[]> {
  const closed = (streams: number) => ({ type: "concurrent", streams, durationMs: perStepMs }) as const;
  const lowest = await runOf(cell, closed(1), { repeat, stage: 1 }, ports);
  const highest = await runOf(cell, closed(maxConcurrency), { repeat, stage: 2 }, ports);
  const measured: Measured[] = [
    { step: "1 stream", run: lowest },
    { step: `${maxConcurrency} streams`, run: highest },
  ];
  const [least, most] = [answeredPerS(lowest), answeredPerS(highest)];
  for (let step = 1; step <= steps && !ports.signal.aborted; step++) {
    const rate = least + ((most - least) * step) / (steps + 1);
    if (!(rate > 0)) break;
    const load = {
      type: "rate",
      rate,
      arrival: "constant",
      burstiness: 1,
      durationMs: perStepMs,
      maxConcurrency: 1024,
    } as const;
    const run = await runOf(cell, load, { repeat, stage: 2 + step }, ports);
    measured.push({ step: `step ${step} of ${steps}`, offeredPerS: rate, run });
  }
  return measured;
}

/** Whole answers over the time until the last of them ended: a window that cuts a long one would say 0. */
function answeredPerS({ samples }: Run): number {
  const good = samples.filter(({ error }) => error === undefined);
  const lastMs = Math.max(0, ...good.map(({ endMs }) => endMs));
  return lastMs > 0 ? (good.length * 1000) / lastMs : 0;
}
