/** `exo plan`: where a model could run in this home, how fast, and why not elsewhere. Loads nothing. */

import { pickBackend, requireBackend, strategyFor } from "#actors/planner/backends";
import { DEFAULT_WISH, type Home, KV_BYTES, type StrategyWish, type Wish } from "#actors/planner/home";
import { homeOf, type Known } from "#actors/planner/home-of";
import { speedsWith } from "#actors/planner/measured-speeds";
import type { Prediction } from "#actors/planner/placement/predict";
import { type Plans, plan } from "#actors/planner/plan";
import type { Backend, BackendWish } from "#protocol/collective";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { MeasuredSpeeds, SpeedAnswer } from "#protocol/speeds";
import type { ModelState } from "#protocol/supervisor";
import type { Client } from "../daemon/client.ts";
import { needDaemon } from "../daemon/daemon.ts";
import { checkpointAt, otherCopiesAt } from "../daemon/home-checkpoint.ts";
import { modelAt, namedIn } from "../node/models.ts";
import { membersOf, requireSharedStages, shapeIn } from "../placement/ranks.ts";
import {
  checkNames,
  isAbsent,
  leftOutWords,
  missingIn,
  nothingFits,
  reasonOf,
} from "../placement/rejections.ts";
import { SHARED_STREAMS } from "../placement/tries.ts";
import { printJson, type Session } from "../session.ts";
import { cell } from "../terminal/node-words.ts";
import { shownBytes, table } from "../terminal/table.ts";
import type { Cluster } from "./nodes.ts";

export interface PlanFlags {
  readonly ctx?: number;
  readonly concurrency?: number;
  readonly nodes?: readonly string[];
  readonly minNodes?: number;
  readonly strategy?: StrategyWish;
  readonly backend?: BackendWish;
  readonly explain?: boolean;
  /** Every machine that does not know how fast it is with the model measures that now. */
  readonly measure?: boolean;
}

export async function showPlan(session: Session, model: string, flags: PlanFlags): Promise<void> {
  const daemon = await needDaemon(session);
  const { name, quantisation, shape: alone } = await checkpointOf(session, daemon, model);
  const known = await daemon.get<Cluster>("/exo/v1/cluster", session.signal);
  const shape = shapeIn(alone, known);
  checkNames(flags.nodes, known.nodes);
  const measured = flags.measure ? await measuredBy(session, daemon, name) : new Map();
  const speedsOf = speedsWith(measured, { shape, quantisation });
  const others = new Map(
    (await otherCopiesAt(daemon, name, session.signal)).map(({ node, why }) => [node, why]),
  );
  const alike = { ...known, nodes: known.nodes.filter(({ node }) => !others.has(node)) };
  const { home: all, leftOut } = homeOf(alike, { speedsOf, ...(flags.nodes && { only: flags.nodes }) });
  const otherwise = known.nodes.flatMap(({ node, name: called }) => {
    const why = others.get(node);
    return why === undefined ? [] : [{ node, name: called, because: "otherCopy", why }];
  });
  const { hidden = "full" } = session.config.runtime;
  const { strategy, home } = ofRanks(flags, { ...all, hidden }, known);
  const { contextLength: most = Number.POSITIVE_INFINITY } = shape;
  const { ctx = DEFAULT_WISH.context } = flags;
  const context = Math.min(ctx, most);
  const kvBytes = KV_BYTES[session.config.runtime.kvQuant ?? "f16"];
  const wish = { ...DEFAULT_WISH, context, kvBytes };
  const planned = (asked: Pick<Wish, "streams" | "minimumNodes">) =>
    plan(shape, home, { ...wish, ...asked }, strategy);
  const { plans, streams, note } = asPlaced(flags, strategy, planned);
  const calibrated = home.machines.every(({ speeds }) => !speeds.assumed);
  if (session.json) {
    const nodes = home.machines.map(({ node, name: called }) => ({ node, name: called }));
    const ranked = plans.ranked.map((each) => ({ ...each, backend: backendOf(each, home, known) }));
    const asked = { model: name, context, streams };
    const left = { leftOut: [...leftOut, ...otherwise] };
    return printJson(session, "plan", { ...asked, calibrated, nodes, ...left, ...plans, ranked });
  }
  const otherWords = otherwise.map(({ name: called, why }) => `${cell(called)} ${why}`);
  const missing = missingIn(plans.rejected);
  const reasons = plans.rejected.filter(({ type }) => !missing || type !== "home");
  const rejected = [
    ...reasons.map((each) => reasonOf(each, home)),
    ...leftOut.map(leftOutWords),
    ...otherWords,
    ...(await idleIn(session, daemon)),
  ];
  if (plans.ranked.length === 0) {
    const { closest } = plans;
    throw nothingFits(name, context, { rejected, missing, ...(closest && { closest }) });
  }
  const width = session.terminal.outIsTerminal ? { width: session.terminal.columns() } : {};
  session.terminal.out(table(HEADERS, plans.ranked.slice(0, SHOWN_MAX).map(rowOf(home, known)), width));
  const reasonsShown = flags.explain
    ? rejected
    : [...leftOut.filter(isAbsent).map(leftOutWords), ...otherWords];
  session.terminal.out(reasonsShown.map((line) => `–  ${line}\n`).join(""));
  for (const each of [note, ranksNote(plans, strategy)]) if (each) session.terminal.out(`${each}\n`);
  if (flags.ctx !== undefined && ctx > most)
    session.terminal.out(`${name} knows no more than ${most} tokens: planned with a context of so many\n`);
  if (!plans.exact) session.terminal.out(`${gapWords(plans, home)}\n`);
  if (!calibrated) session.terminal.out(`${assumedWords(home)}\n`);
}

/** This machine's copy, or another's of the home. Throws Problem. */
async function checkpointOf(session: Session, daemon: Client, model: string) {
  try {
    const { readCheckpoint, readModelShape } = await import("#actors/shard-worker/weights/checkpoint");
    const { name, path } = await modelAt(session, model, false);
    return { name, quantisation: readCheckpoint(path).facts.quantisation, shape: readModelShape(path) };
  } catch (error) {
    if (!(error instanceof Problem) || error.kind !== "notFound") throw error;
    const view = await checkpointAt(daemon, namedIn(session, model), session.signal);
    if (!view) throw error;
    return { ...view, name: view.model };
  }
}

interface AsPlaced {
  readonly plans: Plans;
  readonly streams: number;
  /** For how many answers at once, where nobody said so. */
  readonly note?: string;
}

/** As placing would: for the answers at once for which several machines are cut, or for one where so many do not fit. */
function asPlaced(
  { concurrency, nodes, minNodes }: PlanFlags,
  strategy: StrategyWish = "auto",
  planned: (asked: Pick<Wish, "streams" | "minimumNodes">) => Plans,
): AsPlaced {
  const minimumNodes = minNodes ?? nodes?.length ?? 1;
  const planOf = (streams: number) => ({ plans: planned({ minimumNodes, streams }), streams });
  const isShared = minimumNodes > 1 || (strategy !== "auto" && strategy !== "single");
  if (concurrency !== undefined || !isShared) return planOf(concurrency ?? 1);
  const note = `planned for ${SHARED_STREAMS} answers at once, as what several machines hold is placed (--concurrency)`;
  const many = planOf(SHARED_STREAMS);
  if (many.plans.ranked.length > 0) return { ...many, note };
  return { ...planOf(1), note: `planned for one answer at a time: ${SHARED_STREAMS} at once do not fit` };
}

/** What the first line shows may not be what comes of asking for nothing. */
function ranksNote({ ranked }: Plans, strategy: StrategyWish = "auto"): string | undefined {
  const isOfRanks = ranked[0]?.placement.some(({ machines }) => machines.length > 1);
  if (strategy !== "auto" || !isOfRanks) return undefined;
  return "ranks are placed where they are asked for: --strategy tensor";
}

/** Models that would be stopped for another, as far as that machine knows, and tells: a key that may see the home may not see them. */
async function idleIn({ signal }: Session, daemon: Client): Promise<readonly string[]> {
  const asked = daemon.get<{ readonly models: readonly ModelState[] }>("/exo/v1/ps", signal);
  const { models } = await asked.catch((error: unknown) => {
    if (error instanceof Problem && error.kind === "forbidden") return { models: [] };
    throw error;
  });
  const what = "is idle: what it takes is not counted as free, and it gives way where that makes room";
  return models.filter(({ idle }) => idle).map(({ model }) => `${cell(model)} ${what}`);
}

/** The home as its ranks would add up; throws Problem where they cannot as they are asked to. */
function ofRanks(
  { strategy, backend, nodes, minNodes = 1 }: PlanFlags,
  home: Home,
  known: Known,
): { readonly home: Home; readonly strategy?: StrategyWish } {
  const all = nodes !== undefined && minNodes >= nodes.length;
  requireBackend(backend, membersOf(home.machines, known), { all });
  const wanted = strategyFor(strategy, backend);
  if (wanted === "mixed") requireSharedStages(known);
  return { home: { ...home, ...(backend && { sums: backend }) }, ...(wanted && { strategy: wanted }) };
}

/** By what the ranks of a plan would add up; undefined where it has none. */
function backendOf({ placement }: Prediction, { machines, sums }: Home, known: Known): Backend | undefined {
  const ranks = placement.find((stage) => stage.machines.length > 1)?.machines;
  const members = ranks?.flatMap((at) => machines[at] ?? []);
  return members && pickBackend(sums, membersOf(members, known)).backend;
}

/** Those that could are told of by their speeds, the others with their reason. */
async function measuredBy(
  { progress, terminal, signal }: Session,
  daemon: Client,
  model: string,
): Promise<ReadonlyMap<NodeId, MeasuredSpeeds>> {
  progress.status("measuring machines");
  const answer = daemon.post<{ readonly machines: readonly SpeedAnswer[] }>(
    "/exo/v1/speeds/measure",
    { model },
    signal,
  );
  const { machines } = await answer.finally(() => progress.end());
  for (const { name, problem } of machines)
    if (problem) terminal.err(`${name} was not measured: ${problem.message}\n`);
  return new Map(machines.flatMap(({ node, speeds }) => (speeds ? [[node, speeds] as const] : [])));
}

function gapWords({ gap }: Plans, { machines }: Home): string {
  const more = gap < 1 ? `${Math.ceil(100 * gap)} % faster` : `${(gap + 1).toFixed(1)} times as fast`;
  return `not every plan of ${machines.length} machines was looked at: the best possible may be up to ${more}`;
}

/** Whose speeds nobody measured yet; a model's first placement on several machines measures them. */
function assumedWords({ machines }: Home): string {
  const assumed = machines.filter(({ speeds }) => speeds.assumed).map(({ name }) => name);
  const whose = assumed.length === machines.length ? "" : ` of ${assumed.join(" and ")}`;
  return `speeds${whose} are assumed from data sheets, not measured here: uncalibrated`;
}

/** More are no help to choose. */
const SHOWN_MAX = 10;
const HEADERS = ["#", "nodes", "split", "memory", "prefill", "decode", "in all"];

const rowOf =
  (home: Home, known: Known) =>
  (prediction: Prediction, at: number): string[] => {
    const { placement, loads, prefillTokensPerSecond, decodeTokensPerSecond, totalTokensPerSecond } =
      prediction;
    const by = backendOf(prediction, home, known);
    const stages = placement.map(({ start, end, machines }) => {
      const ranks = machines.length > 1 ? ` over ${machines.length} by ${by}` : "";
      return `${start}–${end - 1}${ranks}`;
    });
    return [
      String(at + 1),
      loads.map(({ machine }) => cell(home.machines[machine]?.name ?? "")).join("+"),
      `layers ${stages.join(" | ")}`,
      loads.map(({ total }) => shownBytes(total)).join(" + "),
      `${rate(prefillTokensPerSecond)} t/s`,
      `${rate(decodeTokensPerSecond)} t/s`,
      `${rate(totalTokensPerSecond)} t/s`,
    ];
  };

const rate = (value: number): string => value.toFixed(value < 10 ? 1 : 0);
