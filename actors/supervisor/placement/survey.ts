/** Which machines have a model, and where it should go: asked of all of them at once. */

import { DEFAULT_WISH } from "#actors/planner/home";
import type { Known } from "#actors/planner/home-of";
import { shardBytes } from "#actors/planner/memory-estimate";
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import type { PlacedInstance, PlacementSettings, PlacementWish } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import { type Choice, choose, type Looked } from "./choose.ts";
import type { CoordinatorPorts } from "./ports.ts";

export interface Wanted {
  readonly model: string;
  readonly wish: PlacementWish;
  readonly settings: PlacementSettings;
  readonly asker: NodeId;
  readonly barred: ReadonlyMap<NodeId, string>;
  /** What it replaces; absent for a model that is placed for the first time. */
  readonly before?: PlacedInstance;
  readonly again: boolean;
}

/** Facts and links of a machine that was linked just now are known a moment later. */
const SETTLED_MS = 5_000;
const LOOK_EVERY_MS = 250;

/** Throws Problem as `choose` does. */
export async function decided(ports: CoordinatorPorts, wanted: Wanted): Promise<Choice> {
  const { clock, known } = ports;
  const { model, wish, settings, asker, barred, again } = wanted;
  const untilMs = clock.nowMs() + SETTLED_MS;
  for (;;) {
    const home = await known();
    const looked = await surveyed(ports, home.nodes, wanted);
    try {
      const freed = freedBy(wanted.before, looked);
      return choose({ model, wish, known: home, looked, asker, barred, freed, again, settings });
    } catch (error) {
      const isEarly = error instanceof Problem && error.kind === "doesNotFit" && !isSettled(home, wish);
      if (!isEarly || clock.nowMs() > untilMs) throw error;
    }
    await new Promise<void>((resolve) => void clock.after(LOOK_EVERY_MS, resolve));
  }
}

const isUp = ({ state }: NodeView): boolean => state === "self" || state === "up";
const isNamed = ({ name, node }: NodeView, { nodes }: PlacementWish): boolean =>
  !nodes || nodes.includes(name) || nodes.includes(node);

/** What each machine that may take part says of the model. */
async function surveyed(
  { look }: CoordinatorPorts,
  nodes: readonly NodeView[],
  { model, wish, asker }: Wanted,
): Promise<ReadonlyMap<NodeId, Looked>> {
  const asked = nodes.filter((view) => isUp(view) && (isNamed(view, wish) || view.node === asker));
  const looked = await Promise.all(
    asked.map(
      async ({ node }): Promise<readonly [NodeId, Looked]> => [
        node,
        await look(node, model).catch((error: unknown) => ({ why: missing(model, error) })),
      ],
    ),
  );
  return new Map(looked);
}

function missing(model: string, error: unknown): string {
  if (!(error instanceof Problem)) throw error;
  if (error.kind === "notFound") return `does not have ${model} (exo pull ${model} there)`;
  return `cannot use ${model}: ${error.message}`;
}

/** Every machine that may take part has said what it is, and how it reaches the others. */
function isSettled({ nodes, links }: Known, wish: PlacementWish): boolean {
  const named = nodes.filter((view) => view.state !== "unpaired" && isNamed(view, wish));
  const up = named.filter(isUp);
  const isLinked = (from: NodeView, to: NodeView) =>
    from === to || links.some((link) => link.from === from.node && link.to === to.node);
  return (
    up.every(({ facts }) => facts !== undefined) &&
    up.every((from) => up.every((to) => isLinked(from, to))) &&
    named.every(({ state }) => state !== "connecting")
  );
}

/** Weights of the placement before, which machines do not tell as free yet. */
function freedBy(
  before: PlacedInstance | undefined,
  looked: ReadonlyMap<NodeId, Looked>,
): ReadonlyMap<NodeId, number> {
  const freed = new Map<NodeId, number>();
  for (const { node, layers } of before?.stages ?? []) {
    const view = looked.get(node);
    if (!view || !("shape" in view)) continue;
    freed.set(node, shardBytes(view.shape, DEFAULT_WISH, { ...layers, activationBytes: 4 }).weights);
  }
  return freed;
}
