/** A whole benchmark: every model opened once, every cell warmed up once, the repeats in shuffled order. */
import type { Clock } from "#actors/runtime/clock";
import { Problem } from "#protocol/problem";
import { abilitiesOf, countedTokens, type TargetAbilities } from "./abilities.ts";
import type { AskPorts } from "./asking.ts";
import type { BenchConfig, ModelChoice, Scenario } from "./bench-config.ts";
import { warmUpWarnings } from "./cell-warnings.ts";
import { type Quality, readSources, runChecks } from "./checks.ts";
import type { TargetFacts } from "./facts.ts";
import { type Cell, cellsOf } from "./grid.ts";
import type { Journal } from "./journal.ts";
import { until } from "./loads.ts";
import { type Measured, type MeasurePorts, type Meters, measure, warmUp } from "./measure.ts";
import { type PlacementChoice, Unplaced } from "./placements.ts";
import { type Prompts, promptsFor } from "./prompts.ts";
import { randomOf } from "./random.ts";
import { recordedOf } from "./recorded.ts";
import type { Skipped } from "./report.ts";
import type { Sample } from "./sample.ts";
import type { Selection } from "./skips.ts";
import type { Wire } from "./wire.ts";
import { workloadOf } from "./workload.ts";

export interface BenchPorts {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Makes a model ready and says where; throws Problem. */
  readonly open: (model: ModelChoice, placement: PlacementChoice | undefined) => Promise<OpenTarget>;
  /** Text of a file that the config names; throws Problem. */
  readonly read: (path: string) => string;
  readonly journal: Journal;
  readonly meters: Meters;
  /** A line that is replaced by the next. */
  readonly status: (text: string) => void;
}

export interface OpenTarget {
  readonly wire: Wire;
  /** The name to ask for. */
  readonly model: string;
  readonly kind: TargetFacts["kind"];
  readonly version?: string;
  /** Which machines have which layers, where it is on several. */
  readonly stages?: string;
  readonly close: () => Promise<void>;
}

export interface Done {
  readonly cells: readonly Cell[];
  readonly measured: ReadonlyMap<string, readonly Measured[]>;
  readonly warnings: readonly string[];
  readonly quality: readonly Quality[];
  /** Placements that could not be had, with the reason. */
  readonly skipped: readonly Skipped[];
  /** Of the last model; absent when none was opened. */
  readonly target?: TargetFacts;
  /** What ended it before its time, when something had been measured by then. */
  readonly failure?: unknown;
}

/** Ends early, with what there is, when the signal aborts. Throws Problem where nothing at all could be measured. */
export async function runBench(
  config: BenchConfig,
  { scenarios, placements }: Pick<Selection, "scenarios" | "placements">,
  ports: BenchPorts,
): Promise<Done> {
  for (const scenario of scenarios) readFiles(scenario, ports);
  const subjects = config.models.flatMap((model) =>
    placements.map((placement) => ({ model, placement, cells: cellsOf(scenarios, model, placement) })),
  );
  const cells = subjects.flatMap((subject) => subject.cells);
  const measured = new Map<string, Measured[]>();
  for (const [key, before] of ports.journal.measured) measured.set(key, [...before]);
  const found: Found = { measured, warnings: new Set(), quality: [], skipped: [] };
  for (const [i, { cells: own, ...subject }] of subjects.entries()) {
    if (ports.signal.aborted) break;
    try {
      await runModel(config, { ...subject, turns: left(own, ports.journal), scenarios, found }, ports);
    } catch (error) {
      // What the end of everything cut is no failure.
      if (ports.signal.aborted) break;
      noteFailure(error, { found, id: subject.model.id, isLast: i + 1 === subjects.length });
    }
  }
  return { cells, ...found, warnings: [...found.warnings] };
}

/** Throws where nothing is measured and nothing more will be: hours of an earlier model are not lost for a later one. */
function noteFailure(
  error: unknown,
  { found, id, isLast }: { readonly found: Found; readonly id: string; readonly isLast: boolean },
): void {
  const isEmpty = found.measured.size === 0;
  // One way of laying a model over machines that cannot be had does not keep the others from being measured.
  if (error instanceof Unplaced) {
    found.skipped.push({ what: error.what, reason: error.message });
    if (!isEmpty || !isLast) return;
    const all = found.skipped.map(({ what, reason }) => `${what}: ${reason}`);
    throw new Problem(error.kind, all.join("\n"), { ...(error.remedy && { remedy: error.remedy }) });
  }
  if (isEmpty) throw error;
  found.failure ??= error;
  found.warnings.add(`${id}: ${error instanceof Error ? error.message : String(error)}`);
}

/** A file that is missing or damaged is said now, not after hours of measuring. */
function readFiles(scenario: Scenario, { read }: BenchPorts): void {
  recordedOf(scenario.data, read);
  readSources(scenario, read);
}

/** Grows as models are run. */
interface Found {
  readonly measured: Map<string, Measured[]>;
  readonly warnings: Set<string>;
  readonly quality: Quality[];
  readonly skipped: Skipped[];
  target?: TargetFacts;
  failure?: unknown;
}

interface ModelRun {
  readonly model: ModelChoice;
  readonly placement: PlacementChoice | undefined;
  readonly turns: readonly Turn[];
  readonly scenarios: readonly Scenario[];
  readonly found: Found;
}

async function runModel(
  config: BenchConfig,
  { model, placement, turns, scenarios, found }: ModelRun,
  ports: BenchPorts,
) {
  const checked = scenarios.filter(({ check }) => check !== undefined);
  if ((turns.length === 0 && checked.length === 0) || ports.signal.aborted) return;
  const opened = await ports.open(model, placement);
  if (placement && opened.stages !== undefined)
    found.warnings.add(`${model.id}, ${placement.label}: layers are on ${opened.stages}`);
  try {
    const ready = await prepared(config, opened, ports);
    found.target = factsOf(opened, ready.abilities);
    if (ready.prompts.warning !== undefined) found.warnings.add(ready.prompts.warning);
    await ports.meters.power?.rest(ports);
    await runAll(turns, { ...ready, found, opened }, ports);
    for (const scenario of checked) {
      if (ports.signal.aborted) return;
      const ask = askPorts(opened, scenario.timeoutMs, ports);
      const { quality, warnings } = await runChecks(scenario, {
        ...ports,
        ask,
        ...ready,
        model: opened.model,
      });
      found.quality.push(...quality);
      for (const warning of warnings) found.warnings.add(warning);
    }
  } finally {
    await opened.close();
  }
}

const askPorts = (
  { wire }: OpenTarget,
  timeoutMs: number,
  { clock, signal }: Pick<BenchPorts, "clock" | "signal">,
): AskPorts => ({ wire, clock, signal, timeoutMs });

interface Turn {
  readonly cell: Cell;
  readonly repeat: number;
}

/** Round by round, each in its own order, so that a slow hour does not fall on one cell alone. */
function left(cells: readonly Cell[], journal: Journal): readonly Turn[] {
  const most = Math.max(0, ...cells.map(({ scenario }) => scenario.repeat));
  return Array.from({ length: most }, (_, repeat) => {
    const due = cells.filter(({ scenario, key }) => repeat < scenario.repeat && !journal.has(key, repeat));
    return randomOf(due[0]?.scenario.seed ?? 0, "order", repeat).shuffled(
      due.map((cell) => ({ cell, repeat })),
    );
  }).flat();
}

interface Ready {
  readonly abilities: TargetAbilities;
  readonly prompts: Prompts;
  readonly salt: string;
}

async function prepared(config: BenchConfig, opened: OpenTarget, ports: BenchPorts): Promise<Ready> {
  const { wire, model } = opened;
  ports.status(`asking ${wire.url} what it can do`);
  // Recorded messages are chats; token ids cannot say who speaks.
  const hasMessages = config.scenarios.some(
    ({ data }) => data?.type === "sharegpt" || data?.type === "messages",
  );
  const api = config.target.api ?? (hasMessages ? "chat" : undefined);
  const timeoutMs = Math.max(...config.scenarios.map((scenario) => scenario.timeoutMs));
  const ask = askPorts(opened, timeoutMs, ports);
  const abilities = await abilitiesOf(ask, { model, api });
  const seed = config.scenarios[0]?.seed ?? 0;
  const prompts = await promptsFor({ ...ask, model, abilities, seed });
  return { abilities, prompts, salt: ports.clock.freshId() };
}

const factsOf = (
  { wire, kind, version }: OpenTarget,
  { dialect, tokenIds, lengthens }: TargetAbilities,
): TargetFacts => ({
  url: wire.url,
  kind,
  api: dialect.api,
  promptsBy: tokenIds ? "token ids" : "words",
  exactLengths: lengthens === "no" ? "no: answers end where the model ends them" : lengthens,
  ...(version !== undefined && { version }),
});

interface Running extends Ready {
  readonly opened: OpenTarget;
  readonly found: Found;
}

async function runAll(turns: readonly Turn[], running: Running, ports: BenchPorts): Promise<void> {
  const { clock, signal, journal } = ports;
  const { measured, warnings } = running.found;
  const warm = new Set<string>();
  for (const [i, { cell, repeat }] of turns.entries()) {
    const measuring = measurePorts(cell, running, ports, `${i + 1} of ${turns.length}: ${cell.key}`);
    if (!warm.has(cell.key)) await warmed(cell, measuring, warnings);
    warm.add(cell.key);
    if (signal.aborted) return;
    const results = await measure(cell, repeat, measuring);
    const isCut = signal.aborted;
    const kept = isCut ? results.filter(({ run }) => run.samples.length > 0) : results;
    measured.set(cell.key, [...(measured.get(cell.key) ?? []), ...kept]);
    if (isCut) return;
    if (isAllFailed(results)) await stillThere(running, cell, ports);
    await journal.add(cell.key, repeat, results).catch((error: unknown) => {
      warnings.add(`what was measured could not be noted for --resume: ${String(error)}`);
    });
    if (i + 1 < turns.length) await until(clock.nowMs() + cell.scenario.cooldownMs, { clock, signal });
  }
}

async function warmed(cell: Cell, measuring: MeasurePorts, warnings: Set<string>): Promise<void> {
  for (const text of warmUpWarnings(cell, await warmUp(cell, measuring))) warnings.add(text);
}

function isAllFailed(measured: readonly Measured[]): boolean {
  const samples = measured.flatMap(({ run }) => run.samples);
  return samples.length > 0 && samples.every(({ error }) => error !== undefined);
}

/** A target that died is not asked on for hours: throws Problem, and the run is left for --resume. */
async function stillThere(
  { opened, abilities }: Running,
  { key, scenario }: Cell,
  ports: BenchPorts,
): Promise<void> {
  const ask = askPorts(opened, Math.min(scenario.timeoutMs, PROBE_MS), ports);
  const asked = { model: opened.model, text: "Hi" };
  const why = await countedTokens(ask, abilities, asked).then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  if (why === undefined || ports.signal.aborted) return;
  throw new Problem("network", `the target is gone: no request of ${key} was answered, and now ${why}`, {
    remedy: "start it again; the same command with --resume goes on",
  });
}

/** A question of two words, to a server whose requests have all failed. */
const PROBE_MS = 60_000;

function measurePorts(cell: Cell, running: Running, ports: BenchPorts, title: string): MeasurePorts {
  const { opened, abilities, prompts, salt } = running;
  const recorded = recordedOf(cell.scenario.data, ports.read);
  const workload = workloadOf({ cell, model: opened.model, prompts, abilities, recorded, salt });
  let count = 0;
  const ended = ({ outputTokens, error }: Sample) => {
    count += 1;
    ports.status(`${title} · request ${count}: ${error ?? `${outputTokens} tokens`}`);
  };
  ports.status(title);
  const { clock, signal, meters } = ports;
  return { wire: opened.wire, clock, signal, meters, abilities, workload, recorded, ended };
}
