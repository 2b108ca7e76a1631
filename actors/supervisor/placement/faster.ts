/** Whether a model that one machine could hold by itself is better placed in the home: asked before it is loaded. */
import type { NodeId } from "#protocol/ids";
import type { Choice, Looked } from "./choose.ts";
import { choosing } from "./choose.ts";
import { MEASURE_MS, type MeasuredBy, measuredBy } from "./measuring.ts";
import { type DecidingPorts, freedBy, survey, type Wanted } from "./survey.ts";

export type Asked = Pick<Wanted, "model" | "settings" | "asker" | "barred" | "claimed">;

/**
 * Predictions are off by a sixth as a rule, by a quarter on machines with other work; and whoever asks a machine that answers well wants
 * no other to be disturbed for a little more.
 */
const GAIN_MIN = 0.5;
/** Somebody waits whose own machine could begin. */
const LOOK_MS = 3_000;

/** True as well where that machine may take no part. Throws Problem where nothing can be said. */
export async function isFasterElsewhere(ports: DecidingPorts, asked: Asked): Promise<boolean> {
  const { known, turns } = ports;
  const { model, settings, asker } = asked;
  const looked = new Map<NodeId, Looked>();
  const { nodes } = await known();
  const wanted: Wanted = { ...asked, wish: {}, again: false, claim: () => {} };
  await survey(ports, nodes, { ...wanted, looked, within: () => LOOK_MS });
  const own = looked.get(asker);
  const end = own && "shape" in own ? own.shape.layers.length : 0;
  const current = end > 0 ? [{ node: asker, layers: { start: 0, end } }] : [];
  const isGain = async (measured: MeasuredBy) => {
    const { speeds, stages } = await turns.take(
      async () => {
        const now = await known();
        const freed = freedBy(wanted, { nodes: now.nodes, looked, stopped: [] });
        return choosing({ ...wanted, known: now, looked, freed, measured, current, isTrial: true });
      },
      () => {},
    );
    return isElsewhere(stages, asker) && speeds.chosen > (1 + GAIN_MIN) * (speeds.current ?? 0);
  };
  // What is only assumed is measured before anything goes by it, and nothing is where it would not matter.
  if (!(await isGain(new Map()))) return false;
  const measured = await measuredBy(ports, { looked, nodes, model, settings, ms: MEASURE_MS });
  return measured.size === 0 || (await isGain(measured));
}

const isElsewhere = (stages: Choice["stages"], asker: NodeId): boolean =>
  stages.some(({ node }) => node !== asker);
