/** `exo bench`: measures a model as clients see it, and says whether that changed. */
import { resolve } from "node:path";
import { Problem } from "#protocol/problem";
import { faultAnnotations } from "../bench/annotations.ts";
import { history, share } from "../bench/archive.ts";
import { type Asked, askedFor, baselineOf, limitsOf } from "../bench/asked-for.ts";
import type { BenchConfig, Limit } from "../bench/bench-config.ts";
import type { BenchFlags } from "../bench/bench-flags.ts";
import { boundsOnly, type Comparison, compare } from "../bench/compare.ts";
import { compareFiles } from "../bench/compare-files.ts";
import { energySource, POWERCAP } from "../bench/energy-source.ts";
import { machineFacts } from "../bench/environment.ts";
import type { MachineFacts } from "../bench/facts.ts";
import { homeFor } from "../bench/home.ts";
import { measured } from "../bench/measured.ts";
import { showPlan } from "../bench/plan-report.ts";
import type { EnergySource } from "../bench/power-meter.ts";
import { OUTPUT_DEFAULT } from "../bench/read-config.ts";
import type { Report } from "../bench/report.ts";
import { printSchema } from "../bench/schemas.ts";
import { annotate, showReport } from "../bench/show-report.ts";
import { selected } from "../bench/skips.ts";
import { CommandProblem, EXIT, usageProblem } from "../exit-code.ts";
import type { Session } from "../session.ts";

/** Throws Problem; exit code 9 when the comparison breaks a limit, 1 when nothing of a cell was answered. */
export async function bench(session: Session, given: readonly string[], flags: BenchFlags): Promise<void> {
  const [what, ...more] = given;
  if (what === undefined || what === "")
    throw usageProblem("nothing to measure was named", "exo bench smollm2, or exo bench config.yaml");
  const paths = more.map((each) => resolve(session.config.folder, each));
  if (what === "compare") return await compareFiles(session, paths);
  if (what === "history")
    return await history(session, resolve(session.config.folder, flags.out ?? more[0] ?? OUTPUT_DEFAULT));
  if (what === "share") return await share(session, paths[0]);
  if (what === "schema") return printSchema(session, more[0]);
  if (more.length > 0)
    throw usageProblem(`${more[0]} is one argument too many`, "list several models in a config.yaml");
  try {
    await measureAll(session, askedFor(session, what, flags), flags);
  } catch (error) {
    // A broken limit has an annotation of its own.
    if (flags.ci && error instanceof Problem && !isCheckFailed(error))
      annotate(session, faultAnnotations(error.message));
    throw error;
  }
}

const isCheckFailed = (error: Problem): boolean =>
  error instanceof CommandProblem && error.exitCode === EXIT.checkFailed;

async function measureAll(session: Session, asked: Asked, flags: BenchFlags): Promise<void> {
  const { config } = asked;
  const source = energyFor(config);
  const machine: MachineFacts = {
    ...machineFacts(),
    ...(typeof source === "object" && { energySource: source.name }),
  };
  const home = await homeFor(session, config);
  const selection = selected(config, {
    machine,
    home,
    ...(typeof source === "string" && { noEnergy: source }),
  });
  if (flags.dryRun) return showPlan(session, config, selection);
  // Read before hours of measuring, not after: a missing file should be known at once.
  const baseline = await baselineOf(asked);
  let published: Report | undefined;
  const publish = async (report: Report) => {
    published = compared(report, baseline, limitsOf(config));
    await showReport(session, asked, { report: published, ci: flags.ci === true });
  };
  const failure = await measured(session, asked, { selection, machine, flags, source, publish });
  failOnLimits(published?.comparison);
  if (failure !== undefined) throw failure;
  failOnSilence(published?.cells ?? []);
}

function compared(
  report: Report,
  baseline: Awaited<ReturnType<typeof baselineOf>>,
  limits: readonly Limit[],
): Report {
  if (baseline === "none asked") return report;
  const comparison = baseline === "none yet" ? boundsOnly(report, limits) : compare(baseline, report, limits);
  return { ...report, comparison };
}

/** The counter of energy where the config wants one and the target is this machine; else why not. */
function energyFor({ collect, target }: BenchConfig): EnergySource | string | undefined {
  if (collect.energy !== true) return undefined;
  const host = target.url === undefined ? "localhost" : new URL(target.url).hostname;
  const isHere = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(host);
  return isHere ? energySource(POWERCAP) : "the target is another machine";
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

/** A figure that was asked for and does not exist is no success. */
function failOnSilence(cells: Report["cells"]): void {
  const silent = cells.find(({ summary }) => summary.requests > 0 && summary.requests === summary.errors);
  if (!silent) return;
  const [first] = silent.runs.flatMap(({ samples }) => samples.flatMap(({ error }) => error ?? []));
  throw new CommandProblem(EXIT.failed, `no request of ${silent.key} was answered: ${first}`, {
    remedy: "see the warnings above",
  });
}
