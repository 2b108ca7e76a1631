/** What who leads asks of each machine, in words of its own. */
import type { ActorSystem } from "#actors/runtime/system";
import type { Address, NodeId } from "#protocol/ids";
import { Stages, type StagesMessage, type StagesReply, type StoredView } from "#protocol/placement";
import { Problem, problemOf } from "#protocol/problem";
import { DRAIN_MS } from "../instance/instance.ts";
import type { CoordinatorPorts } from "./ports.ts";

export interface StoredPort {
  /** The models on that machine's disk. Throws Problem. */
  readonly stored: (node: NodeId, ms: number) => Promise<readonly StoredView[]>;
}

const JOIN_MS = 15_000;
/** Answers under way end first, then a worker that does not go is killed. */
const END_MS = DRAIN_MS + 10_000;

export function machinePorts(
  system: ActorSystem,
  me: Address,
): Pick<CoordinatorPorts, "look" | "measure" | "join" | "end" | "tell" | "alone" | "giveWay"> & StoredPort {
  async function ask<Type extends StagesReply["type"]>(
    node: NodeId,
    question: StagesMessage,
    { type, ms }: { type: Type; ms: number },
  ): Promise<Extract<StagesReply, { type: Type }>> {
    const answer = await system.ask<StagesReply>(`${node}/stages` as Address, question, me, ms);
    if (answer.type === "StagesReply.Refused") throw problemOf(answer.problem);
    if (answer.type !== type)
      throw new Problem("internal", `${question.type} was answered by ${answer.type}`);
    return answer as Extract<StagesReply, { type: Type }>;
  }
  return {
    look: async (node, { model, ms }) =>
      (await ask(node, Stages.Look({ model }), { type: "StagesReply.Seen", ms })).checkpoint,
    measure: async (node, { model, settings, ms }) => {
      const question = Stages.Measure({ model, settings });
      return (await ask(node, question, { type: "StagesReply.Measured", ms })).speeds;
    },
    join: async (node, joining) =>
      void (await ask(node, Stages.Join(joining), { type: "StagesReply.Joined", ms: JOIN_MS })),
    end: async (node, ending) =>
      void (await ask(node, Stages.End(ending), { type: "StagesReply.Ended", ms: END_MS })),
    alone: async (node, ms) => (await ask(node, Stages.Alone({}), { type: "StagesReply.Alone", ms })).models,
    stored: async (node, ms) =>
      (await ask(node, Stages.Stored({}), { type: "StagesReply.Stored", ms })).models,
    giveWay: async (node, giving) =>
      void (await ask(node, Stages.GiveWay(giving), { type: "StagesReply.Ended", ms: END_MS })),
    tell: (node) => void system.send(`${node}/stages` as Address, Stages.Tell({}), me),
  };
}
