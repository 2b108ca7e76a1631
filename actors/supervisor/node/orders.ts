/** What a node asks of its Supervisor. */
import type { ActorSystem } from "#actors/runtime/system";
import type { Address } from "#protocol/ids";
import type { AloneModel, PlacementWish } from "#protocol/placement";
import { problemOf } from "#protocol/problem";
import {
  type ModelState,
  Supervisor,
  type SupervisorMessage,
  type SupervisorReply,
} from "#protocol/supervisor";
import { DRAIN_MS } from "../instance/instance.ts";
import type { AloneHere } from "../placement/stages.ts";

/** Loading may read hundreds of gigabytes from a slow disk. */
const LOAD_MS = 30 * 60_000;
const LIST_MS = 2_000;
/** Answers under way end first, then a worker that does not go is killed. */
const STOP_MS = DRAIN_MS + 10_000;
/** Several machines end their parts one after the other, and the home agrees to it: above what who leads is given for that. */
const RELEASE_MS = 150_000;

/** What may be asked of the Supervisor `boss`, each in words of its own. */
export function orders(system: ActorSystem, boss: Address, me: Address) {
  async function ask(question: SupervisorMessage, timeoutMs: number): Promise<SupervisorReply> {
    const answer = await system.ask<SupervisorReply>(boss, question, me, timeoutMs);
    if (answer.type === "SupervisorReply.Refused") throw problemOf(answer.problem);
    return answer;
  }

  async function loaded(): Promise<readonly ModelState[]> {
    const answer = await ask(Supervisor.List({}), LIST_MS);
    return answer.type === "SupervisorReply.Models" ? answer.models : [];
  }

  async function stop(model: string, now: boolean): Promise<void> {
    const names = model === "all" ? new Set((await loaded()).map((held) => held.model)) : [model];
    await Promise.all([...names].map((name) => ask(Supervisor.Stop({ model: name, now }), RELEASE_MS)));
  }

  async function acquire(question: SupervisorMessage): Promise<readonly string[]> {
    const answer = await ask(question, LOAD_MS);
    return (answer.type === "SupervisorReply.Acquired" && answer.notes) || [];
  }

  const load = async (model: string, wish?: PlacementWish) =>
    await acquire(Supervisor.Acquire({ model, ...(wish && { wish }) }));
  const hold = async (model: string) => await acquire(Supervisor.Acquire({ model, here: true }));
  const busy = async () =>
    (await loaded()).some(({ state, requests }) => requests > 0 || state === "loading");
  const alone: AloneHere = {
    models: async () => (await loaded()).flatMap(aloneOf),
    giveWay: async (model) => void (await ask(Supervisor.GiveWay({ model }), STOP_MS)),
    giveUp: (model) => void system.send(boss, Supervisor.GiveUp({ model }), me),
  };
  return { loaded, busy, load, hold, stop, alone };
}

/** Nothing of a model that the home placed, or that is not ready: what that will take is not known. */
function aloneOf({ model, state, stages, facts, idleMs }: ModelState): readonly AloneModel[] {
  if (stages || state !== "ready" || !facts) return [];
  return [{ model, bytes: facts.weightBytes, ...(idleMs !== undefined && { idleMs }) }];
}
