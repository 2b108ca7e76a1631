/** What machines said last of what they hold, to whoever leads now. */
import type { NodeId } from "#protocol/ids";
import type { HeldStage, PlacedInstance } from "#protocol/placement";
import { isWorkerOf } from "../cluster/instances.ts";
import { LOOK_EVERY_MS } from "./lookout.ts";
import { type Report, saidOf } from "./trouble.ts";

export interface ReportsPorts {
  readonly nowMs: () => number;
  /** Whether that machine cannot be counted on. */
  readonly isLost: (node: NodeId) => boolean;
  /** That machine is to say again what it holds. */
  readonly tell: (node: NodeId) => void;
}

export class Reports {
  readonly #ports: ReportsPorts;
  readonly #reports = new Map<NodeId, Report>();
  /** When a machine was asked last what it holds, as it had not said so. */
  readonly #asked = new Map<NodeId, number>();

  constructor(ports: ReportsPorts) {
    this.#ports = ports;
  }

  of(node: NodeId): Report | undefined {
    return this.#reports.get(node);
  }

  heard(
    from: NodeId,
    { heard, stages }: { readonly heard: number; readonly stages: readonly HeldStage[] },
  ): void {
    const before = this.#reports.get(from)?.stages ?? [];
    const nowMs = this.#ports.nowMs();
    // A worker of another machine, or another actor of this one, is nobody's part of a model.
    const own = stages.filter(({ worker }) => worker === undefined || isWorkerOf(from, worker));
    this.#reports.set(from, { heard, stages: own.map((stage) => saidOf(stage, before, nowMs)) });
  }

  /** What a lost machine said is old when it comes back. */
  forgetLost(): void {
    for (const node of this.#reports.keys()) if (this.#ports.isLost(node)) this.#reports.delete(node);
  }

  /** A machine tells what it holds when that is another, or who leads is: whoever looks after models since then has to ask. */
  ask(instances: readonly PlacedInstance[]): void {
    const nowMs = this.#ports.nowMs();
    const stages = instances.filter(({ state }) => state !== "failed").flatMap((each) => each.stages);
    for (const node of new Set(stages.map((stage) => stage.node))) {
      if (this.#reports.has(node) || this.#ports.isLost(node)) continue;
      if (nowMs - (this.#asked.get(node) ?? Number.NEGATIVE_INFINITY) < LOOK_EVERY_MS) continue;
      this.#asked.set(node, nowMs);
      this.#ports.tell(node);
    }
  }

  clear(): void {
    this.#reports.clear();
    this.#asked.clear();
  }
}
