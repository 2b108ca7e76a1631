/** The Supervisor actor: one instance per model, started on demand, restarted within a budget, stopped when asked. */
import type { Behaviour } from "#actors/runtime/system";
import type { RequestId } from "#protocol/ids";
import type { AnyMessage } from "#protocol/message";
import { Problem, type ProblemBody, problemBody } from "#protocol/problem";
import type { ShardWorkerReply } from "#protocol/shard-worker";
import { type SupervisorMessage, SupervisorReply } from "#protocol/supervisor";
import { HeldModels, type HeldPorts } from "./instance/held.ts";
import type { Across } from "./placement/across.ts";
import type { Acquiring, Serving } from "./placement/serving.ts";

/** What the Supervisor needs beside the ports of its instances. */
export interface SupervisorPorts extends HeldPorts {
  /** Models that several machines hold; absent in an exo that works alone. */
  readonly across?: Across;
}

interface Asked extends Omit<Acquiring, "isHeld" | "idleBytes"> {
  readonly question?: RequestId;
}

export function supervisor(ports: SupervisorPorts): Behaviour<SupervisorMessage | ShardWorkerReply> {
  const held = new HeldModels(ports);
  /** Questions that wait and may be withdrawn. */
  const open = new Map<RequestId, AbortController>();

  async function acquire({ question, ...asked }: Asked): Promise<AnyMessage> {
    if (question === undefined) return await acquired(asked);
    const leaving = new AbortController();
    open.set(question, leaving);
    try {
      return await acquired({ ...asked, left: leaving.signal });
    } finally {
      if (open.get(question) === leaving) open.delete(question);
    }
  }

  async function acquired({ resumes = false, ...asked }: Asked): Promise<AnyMessage> {
    const { model, left } = asked;
    const isHeld = (name: string) => held.has(name);
    const shared = await (await acrossOf(ports.across, asked, isHeld))?.acquire({
      ...asked,
      resumes,
      isHeld,
      idleBytes: () => held.idleBytes,
    });
    // What several machines hold now need not be held here whole as well.
    if (shared) held.byName(model)?.giveUp();
    const ready = shared ?? (await held.ready(model, { mayFetch: !resumes, left }));
    return SupervisorReply.Acquired({ model, ...ready });
  }

  async function stop(model: string, now: boolean): Promise<AnyMessage> {
    const across = held.byName(model) ? ports.across?.serving : await ports.across?.settled();
    // One after the other; what is held here ends also where the home cannot agree to the end of its part.
    const [there] = await Promise.allSettled([across?.stop(model, now)]);
    const [here] = await Promise.allSettled([held.stop(model, now)]);
    if (there.status === "rejected") throw there.reason;
    if (here.status === "rejected" && !(there.value && isNotLoaded(here.reason))) throw here.reason;
    return SupervisorReply.Stopped({ model });
  }

  return ({ message, from, reply }) => {
    const answer = (work: Promise<AnyMessage>) =>
      void work.then(reply, (error: unknown) => reply(SupervisorReply.Refused({ problem: refusal(error) })));
    switch (message.type) {
      case "Supervisor.Acquire":
        return answer(acquire(message));
      case "Supervisor.Withdraw":
        return open.get(message.question)?.abort();
      case "Supervisor.Stop":
        return answer(stop(message.model, message.now ?? false));
      case "Supervisor.GiveWay": {
        const { model } = message;
        return answer(held.giveWay(model).then(() => SupervisorReply.Stopped({ model })));
      }
      case "Supervisor.GiveUp":
        return held.byName(message.model)?.giveUp();
      case "Supervisor.List":
        return reply(
          SupervisorReply.Models({ models: [...held.states, ...(ports.across?.serving?.states() ?? [])] }),
        );
      default:
        for (const instance of held.all) if (instance.owns(from)) instance.heard(message);
    }
  };
}

/** Undefined where this machine is to hold the model by itself: what it holds already waits for nobody. Throws Problem. */
async function acrossOf(
  across: Across | undefined,
  { model, wish }: Pick<Acquiring, "model" | "wish">,
  isHeld: Acquiring["isHeld"],
): Promise<Serving | undefined> {
  const serving = !wish && isHeld(model) ? across?.serving : await across?.settled();
  if (wish && !serving) throw alone();
  return serving;
}

const alone = (): Problem =>
  new Problem("unavailable", "this exo works alone: it knows no other machines", {
    remedy: "start `exo serve` here, and on the others; `exo nodes` lists them",
  });

const isNotLoaded = (error: unknown): boolean => error instanceof Problem && error.kind === "notFound";

function refusal(error: unknown): ProblemBody {
  if (!(error instanceof Problem)) console.error(error);
  return problemBody(error);
}
