/** The Supervisor actor: one instance per model, started on demand, restarted within a budget, stopped when asked. */
import type { Behaviour } from "#actors/runtime/system";
import type { AnyMessage } from "#protocol/message";
import { Problem, type ProblemBody, problemBody } from "#protocol/problem";
import type { Shard } from "#protocol/shard";
import type { ShardWorkerReply } from "#protocol/shard-worker";
import { type ModelState, type SupervisorMessage, SupervisorReply } from "#protocol/supervisor";
import { Instance, type InstancePorts } from "./instance/instance.ts";
import type { Across } from "./placement/across.ts";
import type { Acquiring, Serving } from "./placement/serving.ts";

/** What the Supervisor needs beside the ports of its instances. */
export interface SupervisorPorts extends Omit<InstancePorts, "ended"> {
  /** The shard for a user's name of a model, which `mayFetch` brings here; throws Problem `notFound` with the nearest name. */
  readonly resolve: (model: string, mayFetch: boolean) => Promise<Shard>;
  /** Readies what a new worker needs; throws Problem. */
  readonly prepare: () => Promise<void>;
  /** Where that model lies on this machine; nothing is fetched. Throws Problem when it is not here. */
  readonly locate: (model: string) => Promise<string>;
  /** Models that several machines hold; absent in an exo that works alone. */
  readonly across?: Across;
}

/** Models that may be held at once: beyond this a machine is misconfigured rather than busy. */
const MODELS_MAX = 64;

interface Asked extends Omit<Acquiring, "isHeld"> {
  readonly resumes?: boolean;
}

export function supervisor(ports: SupervisorPorts): Behaviour<SupervisorMessage | ShardWorkerReply> {
  /** By path, so that two names of one checkpoint share one worker. */
  const instances = new Map<string, Instance>();

  async function acquire({ resumes = false, ...asked }: Asked): Promise<AnyMessage> {
    const { model } = asked;
    const isHeld = (name: string) => instances.has(name) || byName(name) !== undefined;
    const shared = await (await acrossOf(ports.across, asked, isHeld))?.acquire({ ...asked, isHeld });
    if (shared) giveUp(byName(model));
    return SupervisorReply.Acquired({ model, ...(shared ?? (await (await named(model, !resumes)).ready())) });
  }

  /** A model that was given by path goes on by the short name it is listed under, where nothing else has that name. */
  async function named(model: string, mayFetch: boolean): Promise<Instance> {
    try {
      const shard = await ports.resolve(model, mayFetch);
      if (!instances.has(shard.path)) await ports.prepare();
      return instanceOf(shard);
    } catch (error) {
      const held = byName(model);
      if (held && error instanceof Problem && error.kind === "notFound") return held;
      throw error;
    }
  }

  const byName = (model: string): Instance | undefined =>
    [...instances.values()].find(({ shard }) => shard.model === model);

  function instanceOf(shard: Shard): Instance {
    const known = instances.get(shard.path);
    if (known) return known;
    if (instances.size >= MODELS_MAX) {
      throw new Problem("overloaded", `${MODELS_MAX} models are loaded already`, {
        remedy: "stop one: exo stop MODEL",
      });
    }
    const made = new Instance(shard, { ...ports, ended: () => instances.delete(shard.path) });
    instances.set(shard.path, made);
    made.start();
    return made;
  }

  async function stop(model: string, now: boolean): Promise<AnyMessage> {
    const across = byName(model) ? ports.across?.serving : await ports.across?.settled();
    if (await across?.stop(model, now)) return SupervisorReply.Stopped({ model });
    const held = byName(model) ?? instances.get((await ports.locate(model).catch(ifUnknown)) ?? "");
    if (!held) throw new Problem("notFound", `${model} is not loaded`, { remedy: "`exo ps` lists what is" });
    await held.stop(now);
    return SupervisorReply.Stopped({ model });
  }

  const list = (): ModelState[] => [
    ...[...instances.values()].map((instance) => instance.state()),
    ...(ports.across?.serving?.states() ?? []),
  ];

  return ({ message, from, reply }) => {
    const answer = (work: Promise<AnyMessage>) =>
      void work.then(reply, (error: unknown) => reply(SupervisorReply.Refused({ problem: refusal(error) })));
    switch (message.type) {
      case "Supervisor.Acquire":
        return answer(acquire(message));
      case "Supervisor.Stop":
        return answer(stop(message.model, message.now ?? false));
      case "Supervisor.List":
        return reply(SupervisorReply.Models({ models: list() }));
      default:
        for (const instance of instances.values()) if (instance.owns(from)) instance.heard(message);
    }
  };
}

/** What several machines hold now need not be held here whole as well. */
function giveUp(own: Instance | undefined): void {
  if (own?.state().requests === 0) void own.stop(false);
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

function ifUnknown(error: unknown): undefined {
  if (!(error instanceof Problem)) throw error;
}

const alone = (): Problem =>
  new Problem("unavailable", "this exo works alone: it knows no other machines", {
    remedy: "start `exo serve` here, and on the others; `exo nodes` lists them",
  });

function refusal(error: unknown): ProblemBody {
  if (!(error instanceof Problem)) console.error(error);
  return problemBody(error);
}
