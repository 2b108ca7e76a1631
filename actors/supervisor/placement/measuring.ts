/** Before a model is placed for the first time, the machines that have it and do not know how fast they are with it measure that. */
import { measuredOf } from "#actors/planner/measured-speeds";
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import type { PlacementSettings } from "#protocol/placement";
import { type ProblemBody, problemBody } from "#protocol/problem";
import type { MeasuredSpeeds, SpeedAnswer } from "#protocol/speeds";
import type { Looked } from "./choose.ts";
import type { CoordinatorPorts } from "./ports.ts";
import { ifProblem } from "./refusals.ts";

export type MeasuredBy = ReadonlyMap<NodeId, MeasuredSpeeds>;

/** A machine that is slower than this is planned with by what is known of it. */
export const MEASURE_MS = 12_000;

export interface ToMeasure {
  readonly model: string;
  readonly settings: PlacementSettings;
  readonly ms: number;
  readonly nodes: readonly NodeView[];
  readonly looked: ReadonlyMap<NodeId, Looked>;
}

/** All at once. A machine that cannot now, as it is busy, is planned with by what is known of it. */
export async function measuredBy(
  { measure }: Pick<CoordinatorPorts, "measure">,
  { nodes, looked, ...measuring }: ToMeasure,
): Promise<MeasuredBy> {
  const able = [...looked].flatMap(([node, view]) => ("shape" in view ? [{ node, view }] : []));
  // Who is the only one needs no comparison.
  if (able.length < 2) return new Map();
  const asked = able.filter(({ node, view }) => {
    const speeds = nodes.find((each) => each.node === node)?.facts?.speeds;
    return !measuredOf(speeds, view);
  });
  const found = await Promise.all(
    asked.map(async ({ node }) => {
      const speeds = await measure(node, measuring).catch(ifProblem);
      return speeds ? ([[node, speeds]] as const) : [];
    }),
  );
  return new Map(found.flat());
}

/** What every machine that is up says to that question, in the home's order. */
export async function answersOf(
  { measure }: Pick<CoordinatorPorts, "measure">,
  { nodes, ...measuring }: Omit<ToMeasure, "looked" | "ms">,
): Promise<readonly SpeedAnswer[]> {
  const up = nodes.filter(({ state }) => state === "self" || state === "up");
  return await Promise.all(
    up.map(({ node, name }) =>
      measure(node, { ...measuring, ms: MEASURE_MS }).then(
        (speeds): SpeedAnswer => ({ node, name, speeds }),
        (error: unknown): SpeedAnswer => ({ node, name, problem: inWords(problemBody(error), node) }),
      ),
    ),
  );
}

/** A question that was not answered is told by its address, which says nothing to a user. */
const inWords = (problem: ProblemBody, node: NodeId): ProblemBody =>
  problem.message.startsWith(`${node}/`)
    ? {
        ...problem,
        message: `it did not answer within ${MEASURE_MS / 1000} s, and may know it by the next time`,
      }
    : problem;
