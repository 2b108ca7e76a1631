/** One benchmark from its config to its report. */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Problem } from "#protocol/problem";
import type { Session } from "../session.ts";
import { safeText } from "../terminal/safe-text.ts";
import type { Asked } from "./asked-for.ts";
import type { BenchConfig } from "./bench-config.ts";
import type { BenchFlags } from "./bench-flags.ts";
import { cellWarnings } from "./cell-warnings.ts";
import { machineFacts, machineWarnings, throttleWarnings } from "./environment.ts";
import type { MachineFacts, TargetFacts } from "./facts.ts";
import { fileName } from "./files.ts";
import { type OpenedJournal, openJournal } from "./journal.ts";
import { DEFINITIONS } from "./metrics.ts";
import { openTarget } from "./open-target.ts";
import { type EnergySource, powerMeter } from "./power-meter.ts";
import { type Report, reportCells, SCHEMA } from "./report.ts";
import { type BenchPorts, type Done, runBench } from "./run-bench.ts";
import type { Selection } from "./skips.ts";

export interface Around {
  readonly selection: Selection;
  readonly machine: MachineFacts;
  readonly flags: BenchFlags;
  /** The counter of energy, or why there is none. */
  readonly source: EnergySource | string | undefined;
  /** Shows and stores the report. What was measured is noted until it resolves, and can be gone on from if it does not. */
  readonly publish: (report: Report) => Promise<void>;
}

/** Returns what ended the benchmark half-way, if anything did. Throws Problem where nothing was measured. */
export async function measured(session: Session, asked: Asked, around: Around): Promise<unknown> {
  const { clock } = session;
  const { config, hash, dir } = asked;
  const startedAt = new Date(clock.epochSeconds() * 1000).toISOString();
  const startMs = clock.nowMs();
  const resume = around.flags.resume === true;
  const opened = await openJournal(join(dir, `${fileName(config.name)}.journal.jsonl`), {
    configHash: hash,
    resume,
  });
  try {
    for (const text of journalWords(opened, resume)) session.progress.milestone(text);
    const ports = benchPorts(session, asked, { ...around, opened });
    const done = await runBench(config, around.selection, ports).finally(() => session.progress.end());
    const state = session.signal.aborted || done.failure !== undefined ? "partial" : "complete";
    const seconds = (clock.nowMs() - startMs) / 1000;
    const report: Report = {
      schema: SCHEMA,
      name: config.name,
      state,
      startedAt,
      seconds,
      environment: environmentOf(session, asked, { around, done }),
      definitions: DEFINITIONS,
      warnings: warningsOf(config, { around, done, opened }),
      skipped: [...around.selection.skipped, ...done.skipped],
      cells: reportCells(done.cells, done.measured),
      quality: done.quality,
    };
    await around.publish(report);
    if (state === "complete") await opened.journal.done();
    return done.failure;
  } finally {
    await opened.journal.release();
  }
}

function benchPorts(
  session: Session,
  { config, folder }: Asked,
  { opened, flags, source }: Around & { opened: OpenedJournal },
): BenchPorts {
  const { clock, signal, progress } = session;
  const power =
    typeof source === "object"
      ? powerMeter(source, clock, config.collect.interval ?? POWER_EVERY_MS)
      : undefined;
  const cpuMs = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
  return {
    clock,
    signal,
    journal: opened.journal,
    meters: { clientCpuMs: cpuMs, ...(power && { power }) },
    read: (path) => readNamed(resolve(folder, path)),
    open: (model, placement) => openTarget(session, config, { model, placement, pull: flags.pull }),
    status: (text) => progress.status(safeText(text)),
  };
}

/** Eyes need no more, and a counter begins again after a minute at the least. */
const POWER_EVERY_MS = 500;

function journalWords({ found, aside }: OpenedJournal, resume: boolean): string[] {
  const begun = aside === undefined ? [] : [`what was begun before is put aside: ${aside}`];
  if (!resume) return begun.length > 0 ? [...begun, "--resume would have gone on from it"] : [];
  if (found === "nothing") return ["there is nothing to go on from: starting anew"];
  if (found === "other") return ["what was begun is of another config: starting anew", ...begun];
  return [`going on: ${found} run${found === 1 ? " is" : "s are"} measured already`];
}

/** Where everything was measured in an earlier sitting, or nothing could be. */
const NOT_ASKED: TargetFacts = {
  url: "(not asked in this sitting)",
  kind: "url",
  api: "",
  promptsBy: "words",
  exactLengths: "",
};

const environmentOf = (
  { build, config }: Session,
  { hash }: Asked,
  { around, done }: { around: Around; done: Done },
): Report["environment"] => ({
  ...around.machine,
  exo: { version: build.version, commit: build.commit },
  target: done.target ?? NOT_ASKED,
  configHash: hash,
  ...(done.target?.kind === "in process" && engineSettings(config.childEnvironment)),
});

/** What makes one processor compute at different speeds. */
function engineSettings({ EXO_CPU_KERNELS: kernels = "", EXO_THREADS: threads = "" }: Variables) {
  return { ...(kernels !== "" && { kernels }), ...(threads !== "" && { threads }) };
}
type Variables = Readonly<Record<string, string | undefined>>;

function warningsOf(
  config: BenchConfig,
  { around, done, opened }: { around: Around; done: Done; opened: OpenedJournal },
): readonly string[] {
  const { machine } = around;
  return [
    ...machineWarnings(machine),
    ...throttleWarnings(machine, machineFacts()),
    ...(typeof opened.found === "number"
      ? [`${opened.found} of the runs were measured in an earlier sitting, maybe under other circumstances`]
      : []),
    ...done.warnings,
    ...done.cells.flatMap((cell) => cellWarnings(cell, done.measured.get(cell.key) ?? [])),
    ...contextWarnings(config, done),
    ...(done.target?.kind === "url" ? clientWarnings(done) : []),
  ];
}

/** Above this the client may keep a piece waiting that has come. */
const CLIENT_CPU_MOST = 0.5;

/** A target that is asked over a socket is slower than its client, or the figures are the client's. */
const clientWarnings = ({ cells, measured }: Done): string[] =>
  cells.flatMap(({ key }) => {
    const shares = (measured.get(key) ?? []).map(({ run }) => run.clientCpu ?? 0);
    const most = Math.max(0, ...shares);
    return most > CLIENT_CPU_MOST
      ? [
          `${key}: measuring kept ${(most * 100).toFixed(0)} % of a core busy: short gaps are the client's as well`,
        ]
      : [];
  });

/** `ctx` is a matter of whoever starts the exo. */
const contextWarnings = ({ models }: BenchConfig, { target }: Done): string[] =>
  models.flatMap(({ id, ctx }) =>
    ctx === undefined || target?.kind === "in process" || target?.api === "ollama"
      ? []
      : [`${id}: ctx ${ctx} is left to the exo that runs; start it with --ctx`],
  );

function readNamed(path: string): string {
  const remedy = "correct the path in the config";
  if (!existsSync(path))
    throw new Problem("notFound", `${path}, which the config names, does not exist`, { remedy });
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Problem("invalid", `${path}, which the config names, cannot be read: ${why}`, {
      remedy,
      cause: error,
    });
  }
}
