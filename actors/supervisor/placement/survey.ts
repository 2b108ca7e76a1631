/** Which machines have a model, and where it should go: asked of all of them at once. */

import { DEFAULT_WISH } from "#actors/planner/home";
import type { Known } from "#actors/planner/home-of";
import { shardBytes } from "#actors/planner/memory-estimate";
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import type { PlacementSettings, PlacementWish, Stage } from "#protocol/placement";
import { Problem, problemBody } from "#protocol/problem";
import { type Choice, choosing, type Looked, sizesOf, type Without } from "./choose.ts";
import { FREED_TOLD_MS } from "./claims.ts";
import { type Free, type Other, type Stopped, untold, withRoom } from "./giving-way.ts";
import { MEASURE_MS, type MeasuredBy, measuredBy } from "./measuring.ts";
import type { CoordinatorPorts } from "./ports.ts";
import { isBackSoon, isUp, SETTLED_MS } from "./there.ts";
import type { Turns } from "./turns.ts";

export interface Wanted {
  readonly model: string;
  readonly wish: PlacementWish;
  readonly settings: PlacementSettings;
  readonly asker: NodeId;
  readonly barred: ReadonlyMap<NodeId, string>;
  readonly again: boolean;
  readonly isFewerFine?: boolean;
  /** Where it is now, to be compared with. */
  readonly current?: readonly Stage[];
  /** Parts of the placement before that machines still hold: memory that is not told as free, and will be. */
  readonly held?: readonly Stage[];
  /** Other parts of it, or another model, are gone just now, and their memory is not told as free yet. */
  readonly isEnding?: boolean;
  /** What other models are about to take, now. */
  readonly claimed: () => ReadonlyMap<NodeId, number>;
  /** Models that were stopped for it just now. */
  readonly stopped?: Stopped;
  /** Models in the memory of those machines, some of which could be stopped for it; asked where it does not fit otherwise. */
  readonly others?: (nodes: readonly NodeView[]) => Promise<readonly Other[]>;
  /** What this one is about to take, once that is decided. */
  readonly claim: (bytes: Choice["bytes"]) => void;
}

const LOOK_EVERY_MS = 250;
/** Headers and a sample of the weights of a large checkpoint on a slow disk: 2048 seeks. */
const LOOK_MS = 20_000;
/** Where answers wait, machines that answer at once are better than those that have to be waited for. */
const LOOK_AGAIN_MS = 3_000;
/**
 * All looks and measurements of one decision together: who does not answer until then takes no part, or is planned with as it is known. A
 * plan that has not begun by then, as others go first, is not begun.
 */
export const DECIDE_MS = 25_000;
/** Also in the last moment machines that are well have time to answer. */
const LEAST_MS = 1_000;

export interface DecidingPorts extends CoordinatorPorts {
  /** In which this leader's plans are made. */
  readonly turns: Turns;
}

interface Choosing extends Partial<Pick<Wanted, "claim">> {
  readonly measured?: MeasuredBy;
  /** As if they were. */
  readonly stopped?: readonly Other[];
  readonly isTrial?: boolean;
}

/** Throws Problem as `choosing` does. */
export async function decided(ports: DecidingPorts, wanted: Wanted): Promise<Choice> {
  const { clock, known, turns } = ports;
  const { model, wish, settings, again } = wanted;
  const sinceMs = clock.nowMs();
  const untilMs = sinceMs + (wanted.isEnding ? FREED_TOLD_MS : SETTLED_MS);
  const within = (ms: number) =>
    Math.min(ms, Math.max(LEAST_MS, sinceMs + DECIDE_MS - LEAST_MS - clock.nowMs()));
  const looked = new Map<NodeId, Looked>();
  for (;;) {
    const home = await known();
    await survey(ports, home.nodes, { ...wanted, looked, within });
    const chosen = ({ measured = new Map(), stopped = [], isTrial = false, claim = () => {} }: Choosing) =>
      turns.take(
        async () => {
          if (clock.nowMs() - sinceMs > DECIDE_MS) throw tooLate(model);
          // As it is now: what was placed while the machines were asked may have taken what was free then.
          const now = await known();
          const freed = freedBy(wanted, { nodes: now.nodes, looked, stopped });
          return choosing({ ...wanted, known: now, looked, freed, measured, isTrial });
        },
        ({ bytes }) => claim(bytes),
      );
    try {
      await chosen({});
      // Where answers wait for the model, what is known has to do.
      const { nodes } = home;
      const measuring = { looked, nodes, model, settings, ms: within(MEASURE_MS) };
      const measured = again ? new Map() : await measuredBy(ports, measuring);
      // Of what is free by now: no other choice comes between that and the claim.
      return await chosen({ measured, claim: wanted.claim });
    } catch (error) {
      const isEarly = wanted.isEnding || !isSettled(home, wish);
      const mayPass = error instanceof Problem && error.kind === "doesNotFit" && isEarly;
      if (!mayPass || clock.nowMs() > untilMs)
        throw await roomFor(error, {
          wanted,
          nodes: home.nodes,
          fits: (stopped) => chosen({ stopped, isTrial: true }),
          breath: () => new Promise<void>((resolve) => void clock.after(0, resolve)),
        });
    }
    await new Promise<void>((resolve) => void clock.after(LOOK_EVERY_MS, resolve));
  }
}

export const tooLate = (model: string): Problem =>
  new Problem("unavailable", `so many models are being placed that the turn of ${model} did not come`, {
    remedy: "ask again in a moment",
  });

interface RoomFor {
  readonly wanted: Wanted;
  readonly nodes: readonly NodeView[];
  readonly fits: (stopped: readonly Other[]) => Promise<unknown>;
  readonly breath: () => Promise<void>;
}

/** What to throw: where memory is short, other models may make room. */
async function roomFor(error: unknown, { wanted, nodes, fits, breath }: RoomFor): Promise<unknown> {
  if (!(error instanceof Problem) || error.kind !== "doesNotFit" || !wanted.others) return error;
  const { wish, barred } = wanted;
  const able = nodes.filter((view) => isUp(view) && isNamed(view, wish) && !barred.has(view.node));
  const others = await wanted.others(able);
  return await withRoom(error, { others, free: freeOf(nodes), fits, breath });
}

const isNamed = ({ name, node }: NodeView, { nodes }: PlacementWish): boolean =>
  !nodes || nodes.includes(name) || nodes.includes(node);

interface Surveying extends Wanted {
  readonly looked: Map<NodeId, Looked>;
  /** What is left of that time. */
  readonly within: (ms: number) => number;
}

/** What each machine that may take part says of the model; who has it is asked once, as each looks at the whole checkpoint. */
export async function survey(
  { look }: CoordinatorPorts,
  nodes: readonly NodeView[],
  { model, wish, asker, again, looked, within }: Surveying,
): Promise<void> {
  const ms = () => within(again ? LOOK_AGAIN_MS : LOOK_MS);
  const ask = async (asked: readonly NodeView[]) =>
    void (await Promise.all(
      asked.map(async ({ node }) =>
        looked.set(
          node,
          await look(node, { model, again, ms: ms() }).catch((error: unknown) => missing(model, error)),
        ),
      ),
    ));
  const mayTakePart = (view: NodeView) => isUp(view) && (isNamed(view, wish) || view.node === asker);
  for (const node of looked.keys())
    if (!nodes.some((view) => view.node === node && isUp(view))) looked.delete(node);
  await ask(nodes.filter((view) => mayTakePart(view) && !("digest" in (looked.get(view.node) ?? {}))));
  // Who takes no part may have it for those who do.
  if (![...looked.values()].some((each) => "digest" in each))
    await ask(nodes.filter((view) => isUp(view) && !mayTakePart(view)));
}

/** Whatever one machine answers, others may do. */
export function missing(model: string, error: unknown): Without {
  if (error instanceof Problem && error.kind === "notFound")
    return { why: `does not have ${model}`, mayFetch: true };
  return { why: `cannot use ${model}: ${problemBody(error).message}` };
}

/** Every machine that may take part has said what it is, and how it reaches the others; where stages are to be shared, all have. */
function isSettled({ nodes, links }: Known, wish: PlacementWish): boolean {
  const isAsked = (view: NodeView) => wish.sharedStages || isNamed(view, wish);
  const named = nodes.filter((view) => view.state !== "unpaired" && isAsked(view));
  const up = named.filter(isUp);
  const isLinked = (from: NodeView, to: NodeView) =>
    from === to || links.some((link) => link.from === from.node && link.to === to.node);
  return (
    up.every(({ facts }) => facts !== undefined) &&
    up.every((from) => up.every((to) => isLinked(from, to))) &&
    !named.some(isBackSoon)
  );
}

interface Seen {
  readonly nodes: readonly NodeView[];
  readonly looked: ReadonlyMap<NodeId, Looked>;
  /** As if they were. */
  readonly stopped: readonly Other[];
}

const freeOf = (nodes: readonly NodeView[]): Free =>
  new Map(nodes.flatMap(({ node, facts }) => (facts ? [[node, facts.freeBytes] as const] : [])));

/** Beside what machines tell as free: weights that will be given back, less what others are about to take. */
export function freedBy(
  { held = [], current = held, claimed, stopped: gone }: Wanted,
  { nodes, looked, stopped }: Seen,
): ReadonlyMap<NodeId, number> {
  const freed = new Map([...claimed()].map(([node, bytes]) => [node, -bytes]));
  const given = [...stopped.flatMap((each) => [...each.bytes]), ...(gone ? untold(gone, freeOf(nodes)) : [])];
  for (const [node, bytes] of given) freed.set(node, (freed.get(node) ?? 0) + bytes);
  const sizes = sizesOf(current);
  for (const { node } of held) {
    const size = sizes.get(node);
    // Who holds a part that it fetched has no copy to look at: others have the same.
    const view = [looked.get(node), ...looked.values()].find((each) => each && "shape" in each);
    const facts = nodes.find((each) => each.node === node)?.facts;
    if (!view || !("shape" in view) || !facts || !size) continue;
    const { weights } = shardBytes(view.shape, DEFAULT_WISH, size);
    const taken = Math.max(0, facts.memoryBytes - facts.freeBytes);
    freed.set(node, Math.min(weights, taken) + (freed.get(node) ?? 0));
  }
  return freed;
}
