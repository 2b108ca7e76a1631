/** What placing models touches: the home's log, its machines, and time. Production passes the cluster; a test passes plain objects. */
import type { Known } from "#actors/planner/home-of";
import type { Clock } from "#actors/runtime/clock";
import type { Trace } from "#actors/runtime/trace";
import type { NodeId } from "#protocol/ids";
import type { AloneModel, CheckpointView, PlacementSettings, StagesMessage } from "#protocol/placement";
import type { MeasuredSpeeds } from "#protocol/speeds";
import type { Agreed } from "../cluster/agreed.ts";

type Fields<Type extends StagesMessage["type"]> = Omit<Extract<StagesMessage, { type: Type }>, "type">;

export interface Looking {
  readonly model: string;
  readonly ms: number;
}

export interface CoordinatorPorts {
  readonly clock: Clock;
  readonly agreed: () => Agreed;
  /** The machines and the links between them, as this node knows them. */
  readonly known: () => Promise<Known>;
  /** This and all that follow are asked of a machine, this one too; they throw Problem, also where the answer takes longer than `ms`. */
  readonly look: (
    node: NodeId,
    looking: Looking & {
      /** Answers wait: what it told before will do. */
      readonly again: boolean;
    },
  ) => Promise<CheckpointView>;
  /** Measures what it does not remember, for some seconds. */
  readonly measure: (
    node: NodeId,
    measuring: Looking & { readonly settings: PlacementSettings },
  ) => Promise<MeasuredSpeeds>;
  readonly join: (node: NodeId, joining: Fields<"Stages.Join">) => Promise<void>;
  readonly end: (node: NodeId, ending: Fields<"Stages.End">) => Promise<void>;
  /** What that machine holds by itself. */
  readonly alone: (node: NodeId, ms: number) => Promise<readonly AloneModel[]>;
  /** An idle one of these makes room, or an idle model's last stage. */
  readonly giveWay: (node: NodeId, giving: Fields<"Stages.GiveWay">) => Promise<void>;
  /** That machine is to say again what it holds. */
  readonly tell: (node: NodeId) => void;
  readonly trace: Trace | undefined;
  /** A mistake in this part, which is then started again. */
  readonly crashed: (error: unknown) => void;
  /** For the log: what nobody waits for. */
  readonly troubled: (why: string) => void;
}
