/** Machines of a home in memory, and how they see each other. */
import type { Known } from "#actors/planner/home-of";
import type { CoordinatorPorts } from "#actors/supervisor/placement/ports";
import type { NodeView } from "#protocol/cluster";
import type { Address, NodeId } from "#protocol/ids";
import type { LinkView, NodeFacts } from "#protocol/node";
import type { AloneModel, CheckpointView, HeldStage, PlacedInstance } from "#protocol/placement";
import { Problem, type ProblemBody } from "#protocol/problem";
import type { MeasuredSpeeds } from "#protocol/speeds";
import type { VirtualTime } from "../sim/time.ts";
import { facts, nodeFacts } from "./model.ts";

type Giving = Parameters<CoordinatorPorts["giveWay"]>[1];

/** One machine: what it has, and what it does with a part that it is given. */
export interface FakeMachine {
  readonly node: NodeId;
  state: NodeView["state"];
  /** Since it was heard last. */
  silentMs?: number;
  drained: boolean;
  freeBytes: number;
  has: CheckpointView | ProblemBody;
  /** Undefined: it loads until the test says otherwise. */
  outcome: "loads" | ProblemBody | undefined;
  readonly held: HeldStage[];
  /** What it has more of memory when a part ends. */
  partBytes?: number;
  /** What it holds by itself; what of it gives way is free then. */
  alone?: AloneModel[];
  /** What gives way is not told as free for long, as where it is little of the machine's memory. */
  tellsLate?: boolean;
  /** Its worker has a request, of which it told nobody yet. */
  isAsked?: boolean;
  /** Before one of these gives way. */
  givesWay?: () => Promise<void>;
  /** Why its worker could not meet the others, as it was told last. */
  unmet?: string | undefined;
  /** It answers no look at its checkpoints. */
  isDeaf?: boolean;
  /** Nothing is known of it yet. */
  isNew?: boolean;
  /** What else it tells of itself than a small Linux machine does. */
  facts?: Partial<NodeFacts>;
  /** What it measured of itself. */
  speeds?: readonly MeasuredSpeeds[];
  /** What it would measure; undefined: it cannot now. */
  measures?: MeasuredSpeeds;
  /** To whom it said what it holds, and what: it says that again only when one of them is another, as the real ones do. */
  told: string;
}

/** All linked with all. */
export function knownOf(
  machines: readonly FakeMachine[],
  leader: string,
  medium: LinkView["medium"] = "ethernet",
): Known {
  const nodes = machines.map(
    ({ node, state, silentMs, drained, freeBytes, speeds, facts: more, isNew }): NodeView => ({
      ...{ node, name: node, state, drained, leader: node === leader },
      ...(silentMs !== undefined && { silentMs }),
      ...{ voter: true, excluded: false, labels: {}, addresses: [] },
      ...(!isNew && {
        facts: { ...nodeFacts(node, freeBytes), ...more, freeBytes, ...(speeds && { speeds: [...speeds] }) },
      }),
    }),
  );
  const links = nodes.flatMap(({ node: from }) =>
    nodes.flatMap(({ node: to }): LinkView[] =>
      from === to ? [] : [{ from, to, rdma: "none", medium, latencyMs: 1, bytesPerSecond: 1e9 }],
    ),
  );
  return { nodes, links };
}

/** What comes of a question to a machine that is deaf. */
export async function late(time: VirtualTime, ms: number): Promise<never> {
  await new Promise<void>((resolve) => void time.after(ms, resolve));
  throw new Problem("unavailable", "it did not answer");
}

/** How a part ended up. */
export const ended = (node: string, outcome: "loaded" | ProblemBody, epoch: number) =>
  outcome === "loaded"
    ? ({ state: "loaded", worker: `${node}/worker-${epoch}` as Address, facts } as const)
    : ({ state: "failed", problem: outcome } as const);

/** Of what is placed, it has what it is to have: what is new begins, and comes at once to what it comes to. */
export function hold({ node, held, outcome }: FakeMachine, instances: readonly PlacedInstance[]): void {
  const wanted = instances.filter(
    ({ state, stages }) => state !== "failed" && stages.some((stage) => stage.node === node),
  );
  const before = held.splice(0);
  for (const { id, epoch } of wanted) {
    const known = before.find((each) => each.instance === id && each.epoch === epoch);
    const fresh: HeldStage = { instance: id, epoch, state: "loading" };
    held.push(
      known ?? { ...fresh, ...(outcome && ended(node, outcome === "loads" ? "loaded" : outcome, epoch)) },
    );
  }
}

export function endPart(machine: FakeMachine, instance: string): void {
  const { held } = machine;
  held.splice(0, held.length, ...held.filter((each) => each.instance !== instance));
  machine.freeBytes += machine.partBytes ?? 0;
}

/** As `HeldModels` of production, with the memory free at once; a part is ended with the others. */
export async function giveWay(machine: FakeMachine, { model, part }: Giving): Promise<void> {
  await machine.givesWay?.();
  if (part) {
    const { idle } = machine.held.find(({ instance }) => instance === part.instance) ?? {};
    if (idle && !machine.isAsked) return;
    throw new Problem("unavailable", `${model} is not idle here any more`);
  }
  const held = machine.alone?.find((each) => each.model === model);
  if (held?.idleMs === undefined) throw new Problem("unavailable", `${model} is not idle here any more`);
  machine.alone = machine.alone?.filter((each) => each !== held) ?? [];
  if (!machine.tellsLate) machine.freeBytes += held.bytes;
}
