/** A whole benchmark: every model opened once, every cell warmed up once, the repeats in shuffled order. */
import type { Clock } from "#actors/runtime/clock";
import { abilitiesOf, type TargetAbilities } from "./abilities.ts";
import type { BenchConfig, ModelChoice, Scenario } from "./bench-config.ts";
import type { TargetFacts } from "./environment.ts";
import { type Cell, cellsOf } from "./grid.ts";
import type { Journal } from "./journal.ts";
import { until } from "./loads.ts";
import { type Measured, type MeasurePorts, measure, warmUp } from "./measure.ts";
import { perplexityOf, type Quality } from "./perplexity.ts";
import { type Prompts, promptsFor } from "./prompts.ts";
import { randomOf } from "./random.ts";
import { recordedOf } from "./recorded.ts";
import type { Sample } from "./sample.ts";
import type { Wire } from "./wire.ts";
import { workloadOf } from "./workload.ts";

export interface BenchPorts {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Makes a model ready and says where; throws Problem. */
  readonly open: (model: ModelChoice) => Promise<OpenTarget>;
  /** Text of a file that the config names; throws Problem. */
  readonly read: (path: string) => string;
  readonly journal: Journal;
  /** A line that is replaced by the next. */
  readonly status: (text: string) => void;
}

export interface OpenTarget {
  readonly wire: Wire;
  /** The name to ask for. */
  readonly model: string;
  readonly kind: TargetFacts["kind"];
  readonly version?: string;
  readonly close: () => Promise<void>;
}

export interface Done {
  readonly cells: readonly Cell[];
  readonly measured: ReadonlyMap<string, readonly Measured[]>;
  readonly warnings: readonly string[];
  readonly quality: readonly Quality[];
  /** Of the last model; absent when none was opened. */
  readonly target?: TargetFacts;
}

/** Ends early, with what there is, when the signal aborts. Throws Problem. */
export async function runBench(
  config: BenchConfig,
  scenarios: readonly Scenario[],
  ports: BenchPorts,
): Promise<Done> {
  const cells = config.models.flatMap((model) => cellsOf(scenarios, model));
  const measured = new Map<string, Measured[]>();
  for (const [key, before] of ports.journal.measured) measured.set(key, [...before]);
  const found: Found = { measured, warnings: new Set(), quality: [] };
  for (const model of config.models) {
    const turns = left(
      cells.filter((cell) => cell.model === model),
      ports.journal,
    );
    await runModel(config, { model, turns, scenarios, found }, ports);
  }
  const { warnings, quality, target } = found;
  return { cells, measured, warnings: [...warnings], quality, ...(target && { target }) };
}

/** Grows as models are run. */
interface Found {
  readonly measured: Map<string, Measured[]>;
  readonly warnings: Set<string>;
  readonly quality: Quality[];
  target?: TargetFacts;
}

interface ModelRun {
  readonly model: ModelChoice;
  readonly turns: readonly Turn[];
  readonly scenarios: readonly Scenario[];
  readonly found: Found;
}

async function runModel(
  config: BenchConfig,
  { model, turns, scenarios, found }: ModelRun,
  ports: BenchPorts,
) {
  const checked = scenarios.filter(({ check }) => check?.perplexity !== undefined);
  if ((turns.length === 0 && checked.length === 0) || ports.signal.aborted) return;
  const opened = await ports.open(model);
  try {
    const ready = await prepared(config, opened, ports);
    found.target = factsOf(opened, ready.abilities);
    if (ready.prompts.warning !== undefined) found.warnings.add(ready.prompts.warning);
    await runAll(turns, { ...ready, ...found, opened }, ports);
    for (const scenario of checked) await checkQuality(scenario, opened, { ports, found });
  } catch (error) {
    // What the end of everything cut is no failure.
    if (!ports.signal.aborted) throw error;
  } finally {
    await opened.close();
  }
}

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

async function prepared(config: BenchConfig, { wire, model }: OpenTarget, ports: BenchPorts): Promise<Ready> {
  const { signal, clock, status } = ports;
  status(`asking ${wire.url} what it can do`);
  // Recorded messages are chats; token ids cannot say who speaks.
  const hasMessages = config.scenarios.some(
    ({ data }) => data?.type === "sharegpt" || data?.type === "messages",
  );
  const api = config.target.api ?? (hasMessages ? "chat" : undefined);
  const abilities = await abilitiesOf(wire, { model, api, signal });
  const seed = config.scenarios[0]?.seed ?? 0;
  const prompts = await promptsFor({ wire, model, abilities, signal, seed });
  return { abilities, prompts, salt: clock.freshId() };
}

async function checkQuality(
  { name, check }: Scenario,
  { wire, model }: OpenTarget,
  { ports, found }: { ports: BenchPorts; found: Found },
): Promise<void> {
  const path = check?.perplexity;
  if (path === undefined || ports.signal.aborted) return;
  ports.status(`${name}: perplexity of ${path}`);
  const score = await perplexityOf(ports.read(path), { wire, model, signal: ports.signal });
  if (score) found.quality.push({ scenario: name, model, ...score });
  else found.warnings.add(`${name}: the target scores no prompts, so perplexity is not known`);
}

const factsOf = (
  { wire, kind, version }: OpenTarget,
  { api, tokenIds, lengthens }: TargetAbilities,
): TargetFacts => ({
  url: wire.url,
  kind,
  api,
  promptsBy: tokenIds ? "token ids" : "words",
  exactLengths: lengthens === "no" ? "no: answers end where the model ends them" : lengthens,
  ...(version !== undefined && { version }),
});

interface Running extends Ready {
  readonly opened: OpenTarget;
  readonly measured: Map<string, Measured[]>;
  readonly warnings: Set<string>;
}

async function runAll(turns: readonly Turn[], running: Running, ports: BenchPorts): Promise<void> {
  const { clock, signal, journal } = ports;
  const warm = new Set<string>();
  for (const [i, { cell, repeat }] of turns.entries()) {
    const measuring = measurePorts(cell, running, ports, `${i + 1} of ${turns.length}: ${cell.key}`);
    if (!warm.has(cell.key)) await warmUp(cell, measuring);
    warm.add(cell.key);
    if (signal.aborted) return;
    const results = await measure(cell, repeat, measuring);
    const isCut = signal.aborted;
    const kept = isCut ? results.filter(({ run }) => run.samples.length > 0) : results;
    running.measured.set(cell.key, [...(running.measured.get(cell.key) ?? []), ...kept]);
    if (isCut) return;
    await journal.add(cell.key, repeat, results);
    noteFaults(cell, results, running.warnings);
    if (i + 1 < turns.length) await until(clock.nowMs() + cell.scenario.cooldownMs, { clock, signal });
  }
}

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
  return {
    wire: opened.wire,
    clock: ports.clock,
    signal: ports.signal,
    abilities,
    workload,
    recorded,
    ended,
  };
}

/** What a reader must know before the numbers: failures, and lengths that are not those asked for. */
function noteFaults(cell: Cell, measured: readonly Measured[], warnings: Set<string>): void {
  const samples = measured.flatMap(({ run }) => run.samples);
  const failed = samples.filter(({ error }) => error !== undefined);
  if (failed.length > 0) warnings.add(`${cell.key}: requests failed, the first with: ${failed[0]?.error}`);
  const good = samples.filter(({ error }) => error === undefined);
  if (typeof cell.output === "number" && cell.scenario.ignoreEos && !isFromFile(cell)) {
    const other = good.find(({ outputTokens }) => outputTokens !== cell.output);
    if (other)
      warnings.add(
        `${cell.key}: answers are not all ${cell.output} tokens long (one has ${other.outputTokens})`,
      );
  }
  const wanted = typeof cell.prompt === "number" && !cell.scenario.data ? cell.prompt + cell.fill : undefined;
  const odd = wanted === undefined ? undefined : good.find(({ promptTokens }) => promptTokens !== wanted);
  if (odd)
    warnings.add(`${cell.key}: prompts are not all ${wanted} tokens long (one has ${odd.promptTokens})`);
  if (cell.fill > 0 && good.some(({ cachedTokens }) => cachedTokens < cell.fill / 2))
    warnings.add(
      `${cell.key}: the target kept no cache of the filled context; its prefill covers the whole prompt`,
    );
  if (
    cell.scenario.prefixCache === "off" &&
    cell.fill === 0 &&
    !cell.scenario.data &&
    good.some(({ cachedTokens }) => cachedTokens > 0)
  )
    warnings.add(`${cell.key}: the target had tokens of fresh prompts cached`);
}

const isFromFile = ({ scenario: { data } }: Cell): boolean => data !== undefined && "path" in data;
