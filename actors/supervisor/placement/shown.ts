/** A model that the home holds, as `exo ps` on one of its machines shows it. Pure. */
import type { NodeId } from "#protocol/ids";
import type { PlacedInstance } from "#protocol/placement";
import { problemBody } from "#protocol/problem";
import type { ModelState } from "#protocol/supervisor";
import { orphaned } from "./refusals.ts";

export interface Showing {
  readonly self: NodeId;
  readonly nameOf: (node: NodeId) => string;
  /** What this machine holds of it. */
  readonly own: ModelState | undefined;
  /** Which of its machines is not there; undefined when all are. */
  readonly broken: string | undefined;
  /** Whether anybody is there to decide where it goes then. */
  readonly isLed: boolean;
}

export function shownState(record: PlacedInstance, { self, nameOf, own, ...how }: Showing): ModelState {
  const { model, stages, facts } = record;
  const { idle, idleMs: _, unmet, ...here }: Partial<ModelState> = own ?? {};
  const last = stages.at(-1);
  const worker = last?.worker;
  return {
    path: "",
    requests: 0,
    ...here,
    // Requests come to the last stage alone: no other knows whether it is used.
    ...(idle && last?.node === self && { idle }),
    model,
    ...stateOf(record, how),
    ...(worker && { worker }),
    ...(facts && { facts }),
    ...(unmet !== undefined && record.state === "loading" && { unmet }),
    stages: stages.map(({ worker: __, way, ...stage }) => ({
      ...stage,
      name: nameOf(stage.node),
      ...(stage.rank !== undefined && { backend: way?.backend ?? "ring" }),
    })),
  };
}

/** One that lost a machine is loaded anew, unless nobody is there to decide where. */
function stateOf(
  { model, state, problem }: PlacedInstance,
  { broken, isLed }: Pick<Showing, "broken" | "isLed">,
): Pick<ModelState, "state" | "problem"> {
  if (state === "ready" && broken !== undefined)
    return isLed ? { state: "loading" } : { state: "failed", problem: problemBody(orphaned(model, broken)) };
  return { state: state === "draining" ? "stopping" : state, ...(problem && { problem }) };
}
