/** Where a model that one machine could hold by itself is answered much faster: decided before it is loaded, and only by what was measured. */

import { measuredOf } from "#actors/planner/measured-speeds";
import type { Working } from "#actors/planner/work";
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import type { CheckpointView } from "#protocol/placement";
import { type Choice, choosing, type Looked, type Question } from "./choose.ts";
import { type MeasuredBy, measuredBy } from "./measuring.ts";
import { type DecidingPorts, freedBy, survey, tooLate, type Wanted } from "./survey.ts";
import { isUp } from "./there.ts";

/**
 * Times as fast as whoever asks. Predictions are off by a sixth as a rule, by a quarter on machines with other work: what is predicted to be
 * half again as fast is faster in truth, and worth it that another machine works for this one.
 */
const FASTER = 1.5;
/** Somebody waits whose own machine could begin: who looks or measures for longer takes no part. */
const LOOK_MS = 2_000;
const MEASURE_MS = 6_000;
/** Both, and the plans. */
export const FASTER_MS = 10_000;

/** Where it goes, of what stands already (`held`) where that is; undefined where the asker is to hold it. Throws Problem where nothing can be said. */
export async function fasterThan(ports: DecidingPorts, wanted: Wanted): Promise<Choice | undefined> {
  const { clock, known, turns } = ports;
  const { asker, claim, model } = wanted;
  const untilMs = clock.nowMs() + FASTER_MS;
  const { nodes: all, links } = await known();
  // Who runs on the same computer shares its cores.
  const isApart = ({ node }: NodeView) =>
    !links.some(({ from, to, medium }) => from === asker && to === node && medium === "loopback");
  const nodes = all.filter(isApart);
  if (nodes.filter(isUp).length < 2) return undefined;
  const { looked, measured } = await measuredViews(ports, wanted, nodes);
  const own = looked.get(asker);
  if (!own || looked.size < 2) return undefined;
  const current = [{ node: asker, layers: { start: 0, end: own.shape.layers.length } }];
  const choice = await turns.take(
    async () => {
      if (clock.nowMs() > untilMs) throw tooLate(model);
      const now = await known();
      const freed = freedBy(wanted, { nodes: now.nodes, looked, stopped: [] });
      const among = { known: now, looked, measured, freed };
      return comparing({ ...wanted, ...among, current, isStored: true, isTrial: true }, wanted.held);
    },
    (made) => isFaster(made, asker) && claim(made.bytes),
  );
  return isFaster(choice, asker) ? noted(choice, wanted, nodes) : undefined;
}

/** The fastest, or what stands, beside whoever asks: another place that is fast is none that it would go to. */
function* comparing(question: Question, standing: Wanted["held"]): Working<Choice> {
  const choice = yield* choosing(question);
  if (!standing) return choice;
  const { speeds } = yield* choosing({ ...question, current: standing });
  return { ...choice, stages: standing, speeds: { ...choice.speeds, chosen: speeds.current ?? 0 } };
}

interface Measured {
  readonly looked: ReadonlyMap<NodeId, CheckpointView>;
  readonly measured: MeasuredBy;
}

/** Machines that have what the asker has, and know how fast they are with it: what is only assumed moves nothing. */
async function measuredViews(
  ports: DecidingPorts,
  wanted: Wanted,
  nodes: readonly NodeView[],
): Promise<Measured> {
  const { asker, model, settings } = wanted;
  const looked = new Map<NodeId, Looked>();
  await survey(ports, nodes, { ...wanted, looked, within: () => LOOK_MS });
  const own = looked.get(asker);
  const same = [...looked].flatMap(([node, view]) =>
    own && "digest" in own && "digest" in view && view.digest === own.digest ? [[node, view] as const] : [],
  );
  const measuring = { looked: new Map(same), nodes, model, settings, ms: MEASURE_MS };
  const measured = await measuredBy(ports, measuring);
  const isKnown = (node: NodeId, view: CheckpointView) =>
    measured.has(node) ||
    measuredOf(nodes.find((each) => each.node === node)?.facts?.speeds, view) !== undefined;
  return { looked: new Map(same.filter(([node, view]) => isKnown(node, view))), measured };
}

const isFaster = ({ stages, speeds: { chosen, current } }: Choice, asker: NodeId): boolean =>
  stages.some(({ node }) => node !== asker) && current !== undefined && chosen >= FASTER * current;

/** Who asked named no machine: says which it is, and why. */
function noted(choice: Choice, { model, asker }: Wanted, nodes: readonly NodeView[]): Choice {
  const nameOf = (node: NodeId) => nodes.find((view) => view.node === node)?.name ?? node.slice(0, 8);
  const { stages, speeds } = choice;
  const where = [...new Set(stages.map(({ node }) => nameOf(node)))].join(" and ");
  const times = (speeds.chosen / (speeds.current ?? speeds.chosen)).toFixed(1);
  const here = nameOf(asker);
  return {
    ...choice,
    notes: [
      `${model} is on ${where}, predicted to answer ${times} times as fast as ${here} (exo rebalance ${model} --nodes ${here} moves it there)`,
    ],
  };
}
