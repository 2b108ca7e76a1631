/** What is wrong with a model on several machines, by what these say of their parts. Pure. */
import type { NodeId } from "#protocol/ids";
import type { HeldStage, PlacedInstance, Stage } from "#protocol/placement";
import type { ProblemBody } from "#protocol/problem";
import type { Loss } from "./lookout.ts";

/** What a machine said last of one part, and since when it says so. */
export interface Said extends HeldStage {
  readonly sinceMs: number;
  /** When it was asked last, where it is idle. */
  readonly idleSinceMs?: number | undefined;
}

/** What a machine said last of what it holds. */
export interface Report {
  /** How far it knew the log. */
  readonly heard: number;
  readonly stages: readonly Said[];
}

export interface Sights {
  readonly nowMs: number;
  /** Since when this leader looks after this epoch. */
  readonly sinceMs: number;
  readonly reportOf: (node: NodeId) => Report | undefined;
  /** Why a machine cannot be counted on; undefined for one that can. */
  readonly lost: (node: NodeId) => Loss | undefined;
  /** Whether it is linked and well. */
  readonly isUp: (node: NodeId) => boolean;
}

export interface Trouble {
  readonly problem: ProblemBody;
  /** It is the model's or a worker's fault, and that has a budget. */
  readonly counts: boolean;
  /** It answers, all of its machines are well, and one of them is only to do nothing new: what is under way may end. */
  readonly computes?: boolean;
  /** The machine that failed to load what it was given. */
  readonly failed?: NodeId;
  /** The machine whose worker ended in the middle of its work. */
  readonly crashed?: NodeId;
  /** All machines and their workers were well, and ranks heard nothing of each other by what they add up by. */
  readonly isMesh?: boolean;
}

/** A machine that has a link is asked every two seconds; one that answers none of so many is not well. */
const UNSAID_MS = 60_000;
/** A worker that hangs while it loads is ended by its own machine after five minutes, which says so: this is for a machine that does not. */
const LOADING_SILENT_MS = 6 * 60_000;

/** Since when it is so, as far as this leader heard it. Whether it is used says nothing of that. */
export function saidOf(stage: HeldStage, before: readonly Said[], nowMs: number): Said {
  const { idle, idleMs = 0, ...now } = stage;
  const known = before.find(({ sinceMs: _, idleSinceMs: __, idle: ___, idleMs: ____, ...same }) =>
    Bun.deepEquals(same, now),
  );
  const idleSinceMs = idle ? (known?.idleSinceMs ?? nowMs - idleMs) : undefined;
  return { ...stage, sinceMs: known?.sinceMs ?? nowMs, idleSinceMs };
}

/** When it was asked last, where all of its machines say that this is long ago; undefined while one does not. */
export function idleSince(record: PlacedInstance, sights: Pick<Sights, "reportOf">): number | undefined {
  const held = record.stages.map((stage) => heldOf(record, stage, sights));
  const isIdle = record.state === "ready" && held.every((each) => each?.idleSinceMs !== undefined);
  return isIdle ? Math.max(...held.map((each) => each?.idleSinceMs ?? 0)) : undefined;
}

/** Lost machines first: what the others say then is because of that. */
export function troubleIn(record: PlacedInstance, sights: Sights): Trouble | undefined {
  const { stages } = record;
  const first = (look: (record: PlacedInstance, stage: Stage, sights: Sights) => Trouble | undefined) => {
    for (const stage of stages) {
      const trouble = look(record, stage, sights);
      if (trouble) return trouble;
    }
    return undefined;
  };
  return first(lossOf) ?? first(failureOf) ?? first(absenceOf) ?? first(partingOf) ?? first(silenceOf);
}

export function heldOf(
  { id, epoch }: PlacedInstance,
  { node }: Stage,
  { reportOf }: Pick<Sights, "reportOf">,
): Said | undefined {
  return reportOf(node)?.stages.find((each) => each.instance === id && each.epoch === epoch);
}

/** Its worker has the weights in memory. */
export const isTaken = (held: HeldStage | undefined): boolean =>
  held !== undefined && (held.state === "loaded" || held.parted === true);

function lossOf(
  { state, stages }: PlacedInstance,
  { node }: Stage,
  { lost, isUp }: Sights,
): Trouble | undefined {
  const loss = lost(node);
  if (!loss) return undefined;
  const isFault = state === "loading" && !loss.wanted;
  const computes = state === "ready" && loss.wanted && stages.every((each) => isUp(each.node));
  return {
    problem: unavailable(loss.why),
    counts: false,
    ...(computes && { computes }),
    ...(isFault && { failed: node }),
  };
}

/** Its worker could not load, or ended. */
function failureOf(record: PlacedInstance, stage: Stage, sights: Sights): Trouble | undefined {
  const held = heldOf(record, stage, sights);
  if (held?.state !== "failed" || held.parted || held.waited) return undefined;
  const { node } = stage;
  const where = record.state === "loading" ? { failed: node } : { crashed: node };
  return { problem: problemOf(held), counts: true, ...where };
}

/** It has none, though it knows that it should; or another than the one that is known. */
function absenceOf(record: PlacedInstance, stage: Stage, sights: Sights): Trouble | undefined {
  const held = heldOf(record, stage, sights);
  const report = sights.reportOf(stage.node);
  const isGone = !held && report !== undefined && report.heard >= record.epoch;
  const isOther = held?.state === "loaded" && stage.worker !== undefined && held.worker !== stage.worker;
  if (!isGone && !isOther) return undefined;
  return {
    problem: unavailable(`the part of ${record.model} on one machine is gone, as after its restart`),
    counts: false,
  };
}

/** A worker heard no more of the others: where one of these is out of reach, that is why, and no fault of anybody's. */
function partingOf(record: PlacedInstance, stage: Stage, sights: Sights): Trouble | undefined {
  const held = heldOf(record, stage, sights);
  if (held?.state !== "failed") return undefined;
  const areUp = record.stages.every(({ node }) => sights.isUp(node));
  const isMesh = areUp && record.stages.some(({ way }) => way !== undefined);
  return { problem: problemOf(held), counts: areUp, ...(isMesh && { isMesh }) };
}

function silenceOf(record: PlacedInstance, stage: Stage, sights: Sights): Trouble | undefined {
  const { nowMs } = sights;
  const held = heldOf(record, stage, sights);
  const sinceMs = held ? held.sinceMs : sights.sinceMs;
  if (held && held.state !== "loading") return undefined;
  if (nowMs - sinceMs <= (held ? LOADING_SILENT_MS : UNSAID_MS)) return undefined;
  const seconds = Math.round((nowMs - sinceMs) / 1000);
  const message = `nothing was heard of the part of ${record.model} on one machine for ${seconds} s`;
  return { problem: unavailable(message), counts: true, failed: stage.node };
}

const unavailable = (message: string): ProblemBody => ({ kind: "unavailable", message });

const problemOf = ({ problem }: HeldStage): ProblemBody =>
  problem ?? { kind: "internal", message: "a part of the model failed" };
