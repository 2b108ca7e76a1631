/** `exo bench`: measures a model as clients see it, and says whether that changed. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Problem } from "#protocol/problem";
import { history, share } from "../bench/archive.ts";
import type { BenchConfig, ModelChoice } from "../bench/bench-config.ts";
import { type BenchFlags, flagConfig, withFlags } from "../bench/bench-flags.ts";
import { type Comparison, compare } from "../bench/compare.ts";
import { compareFiles } from "../bench/compare-files.ts";
import { machineFacts, machineWarnings, type TargetFacts } from "../bench/environment.ts";
import { ASSUMED, planOf, shownSeconds } from "../bench/estimate.ts";
import { fileName, LAST, readReport, writeReport } from "../bench/files.ts";
import { cellsOf } from "../bench/grid.ts";
import { openJournal } from "../bench/journal.ts";
import { DEFINITIONS } from "../bench/metrics.ts";
import { BASELINE_LAST, OUTPUT_DEFAULT, readConfig } from "../bench/read-config.ts";
import { type Report, reportCells, SCHEMA, type Skipped } from "../bench/report.ts";
import { type BenchPorts, type Done, type OpenTarget, runBench } from "../bench/run-bench.ts";
import { type Selection, selected } from "../bench/skips.ts";
import { tableReport } from "../bench/table-report.ts";
import { httpWire } from "../bench/wire.ts";
import type { Client } from "../daemon/client.ts";
import { findDaemon } from "../daemon/daemon.ts";
import { openModel } from "../daemon/open-model.ts";
import { CommandProblem, EXIT, usageProblem } from "../exit-code.ts";
import { printJson, type Session } from "../session.ts";
import { table } from "../terminal/table.ts";

/** Throws Problem; exit code 9 when the comparison breaks a limit. */
export async function bench(session: Session, given: readonly string[], flags: BenchFlags): Promise<void> {
  const [what, ...more] = given;
  if (what === undefined)
    throw usageProblem("nothing to measure was named", "exo bench smollm2, or exo bench config.yaml");
  const paths = more.map((each) => resolve(session.config.folder, each));
  if (what === "compare") return await compareFiles(session, paths);
  if (what === "history")
    return await history(session, resolve(session.config.folder, flags.out ?? more[0] ?? OUTPUT_DEFAULT));
  if (what === "share") return await share(session, paths[0]);
  if (more.length > 0)
    throw usageProblem(`${more[0]} is one argument too many`, "list several models in a config.yaml");
  const asked = await askedFor(session, what, flags);
  const machine = machineFacts();
  const selection = selected(asked.config, machine);
  if (flags.dryRun) return showPlan(session, asked.config, selection);
  // Read before hours of measuring, not after: a missing file should be known at once.
  const baseline = await baselineOf(asked);
  const report = await measured(session, asked, { selection, machine, flags });
  const complete = baseline
    ? { ...report, comparison: compare(baseline, report, asked.config.compare?.failIf ?? []) }
    : report;
  await show(session, asked, complete);
  failOnLimits(complete.comparison);
}

interface Asked {
  readonly config: BenchConfig;
  /** What relative paths in the config are relative to. */
  readonly folder: string;
  /** Where reports go. */
  readonly dir: string;
  readonly hash: string;
}

async function askedFor({ config: { folder } }: Session, what: string, flags: BenchFlags): Promise<Asked> {
  const isFile = /\.ya?ml$/i.test(what);
  const path = resolve(folder, what);
  if (isFile && !existsSync(path))
    throw new Problem("notFound", `${what} does not exist`, {
      remedy: "name a config.yaml that does, or a model",
    });
  const text = isFile ? readFileSync(path, "utf8") : "";
  const config = isFile ? withFlags(configIn(text, what), flags) : flagConfig(what, flags);
  const hash = new Bun.CryptoHasher("sha256")
    .update(isFile ? text : "")
    .update(JSON.stringify(config))
    .digest("hex");
  const base = isFile ? dirname(path) : folder;
  return {
    config,
    folder: base,
    dir: resolve(flags.out === undefined ? base : folder, config.output.dir),
    hash,
  };
}

/** A config that cannot be read is a wrong use. */
function configIn(text: string, path: string): BenchConfig {
  try {
    return readConfig(text, path);
  } catch (error) {
    throw error instanceof Problem ? usageProblem(error.message, error.remedy) : error;
  }
}

async function baselineOf({ config, folder, dir }: Asked): Promise<Report | undefined> {
  if (!config.compare) return undefined;
  const { baseline } = config.compare;
  return await readReport(baseline === BASELINE_LAST ? join(dir, LAST) : resolve(folder, baseline));
}

interface Around {
  readonly selection: Selection;
  readonly machine: ReturnType<typeof machineFacts>;
  readonly flags: BenchFlags;
}

async function measured(
  session: Session,
  asked: Asked,
  { selection, machine, flags }: Around,
): Promise<Report> {
  const { clock, signal, progress, build } = session;
  const { config, hash, dir, folder } = asked;
  const startedAt = new Date(clock.epochSeconds() * 1000).toISOString();
  const startMs = clock.nowMs();
  const journalPath = join(dir, `${fileName(config.name)}.journal.jsonl`);
  const { journal, found } = await openJournal(journalPath, {
    configHash: hash,
    resume: flags.resume === true,
  });
  if (flags.resume) progress.milestone(RESUMED[typeof found === "number" ? "some" : found](found));
  const ports: BenchPorts = {
    clock,
    signal,
    journal,
    read: (path) => readNamed(resolve(folder, path)),
    open: (model) => openTarget(session, config, { model, pull: flags.pull }),
    status: (text) => progress.status(text),
  };
  const done = await runBench(config, selection.scenarios, ports).finally(() => progress.end());
  const state = signal.aborted ? "partial" : "complete";
  if (state === "complete") await journal.done();
  return {
    schema: SCHEMA,
    name: config.name,
    state,
    startedAt,
    seconds: (clock.nowMs() - startMs) / 1000,
    environment: {
      ...machine,
      exo: { version: build.version, commit: build.commit },
      target: done.target ?? NO_TARGET,
      configHash: hash,
    },
    definitions: DEFINITIONS,
    warnings: [...machineWarnings(machine), ...done.warnings, ...contextWarnings(config, done)],
    skipped: selection.skipped,
    cells: reportCells(done.cells, done.measured),
    quality: done.quality,
  };
}

const RESUMED = {
  nothing: () => "there is nothing to go on from: starting anew",
  other: () => "what was begun is of another config: starting anew",
  some: (runs: unknown) => `going on: ${runs} run${runs === 1 ? " is" : "s are"} measured already`,
};

const NO_TARGET: TargetFacts = { url: "", kind: "url", api: "", promptsBy: "words", exactLengths: "" };

/** `ctx` is a matter of whoever starts the exo. */
const contextWarnings = ({ models }: BenchConfig, { target }: Done): string[] =>
  models.flatMap(({ id, ctx }) =>
    ctx === undefined || target?.kind === "in process"
      ? []
      : [`${id}: ctx ${ctx} is left to the exo that runs; start it with --ctx`],
  );

function readNamed(path: string): string {
  if (existsSync(path)) return readFileSync(path, "utf8");
  throw new Problem("notFound", `${path}, which the config names, does not exist`, {
    remedy: "correct data: in the config",
  });
}

async function openTarget(
  session: Session,
  { target }: BenchConfig,
  { model, pull }: { model: ModelChoice; pull: boolean },
): Promise<OpenTarget> {
  const { config } = session;
  if (target.url !== undefined) {
    const wire = httpWire(target.url, keyOf(session, target.keyEnv));
    return { wire, model: model.id, kind: "url", close: async () => {} };
  }
  const runtime = model.ctx === undefined ? config.runtime : { ...config.runtime, contextLength: model.ctx };
  const isFound = (await findDaemon(session)) !== undefined;
  const opened = await openModel({ ...session, config: { ...config, runtime } }, model.id, pull);
  const version = await versionOf(opened.client);
  return {
    wire: httpWire(`${opened.client.url}/v1`, config.api.key),
    model: opened.name,
    kind: isFound ? "daemon" : "in process",
    ...(version !== undefined && { version }),
    close: opened.close,
  };
}

/** The key of this exo goes to no other server unless its name is written there. */
function keyOf({ config }: Session, keyEnv: string | undefined): string | undefined {
  if (keyEnv === undefined) return undefined;
  const key = keyEnv === "EXO_API_KEY" ? config.api.key : config.childEnvironment[keyEnv];
  if (key !== undefined && key !== "") return key;
  throw new Problem("unauthorised", `the config takes the key from ${keyEnv}, which is not set`, {
    param: "target.key_env",
    remedy: `set ${keyEnv}, or leave out key_env`,
  });
}

async function versionOf(client: Client): Promise<string | undefined> {
  const { version } = await client
    .get<{ version?: string }>("/exo/v1/version")
    .catch(() => ({ version: undefined }));
  return version;
}

async function show(session: Session, { config, dir }: Asked, report: Report): Promise<void> {
  const { terminal, progress, json } = session;
  const paths = await writeReport(report, dir, config.output.formats);
  if (json) terminal.out(`${JSON.stringify(report)}\n`);
  else if (config.output.formats.includes("table")) {
    terminal.out(tableReport(report, terminal.outIsTerminal ? { width: terminal.columns() } : {}));
  }
  for (const path of paths) progress.milestone(`wrote ${path}`);
  if (report.state === "partial")
    progress.milestone("interrupted: the report is partial; the same command with --resume goes on");
}

function failOnLimits(comparison: Comparison | undefined): void {
  const broken = comparison?.broken ?? [];
  if (broken.length === 0) return;
  const shown = broken
    .map(({ metric, found, key, limit }) => `${metric} ${found} on ${key} (limit ${limit})`)
    .join("; ");
  throw new CommandProblem(EXIT.checkFailed, `the comparison failed: ${shown}`, {
    remedy: "see the table above",
  });
}

function showPlan(session: Session, config: BenchConfig, { scenarios, skipped }: Selection): void {
  const { terminal, json } = session;
  const cells = config.models.flatMap((model) => planOf(cellsOf(scenarios, model), ASSUMED));
  const seconds = cells.reduce((sum, each) => sum + each.seconds, 0);
  if (json) {
    printJson(session, "bench-plan", { name: config.name, seconds, assumed: ASSUMED, cells, skipped });
    return;
  }
  const rows = cells.map((each) => [
    each.scenario,
    each.model,
    each.shape,
    each.load,
    `${each.repeat} ×`,
    String(each.requests ?? "–"),
    shownSeconds(each.seconds),
  ]);
  terminal.out(table(["scenario", "model", "prompt×out", "load", "runs", "requests", "about"], rows));
  terminal.out(skippedLines(skipped));
  terminal.out(
    `${cells.length} cells, about ${shownSeconds(seconds)} at an assumed ${ASSUMED.prefillTps} tok/s prefill and ${ASSUMED.decodeTps} tok/s decode\n`,
  );
}

const skippedLines = (skipped: readonly Skipped[]): string =>
  skipped.map(({ what, reason }) => `skipped ${what}: ${reason}\n`).join("");
