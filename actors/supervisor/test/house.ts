/** A Supervisor whose workers are a test's. */
import { systemClock } from "#actors/runtime/clock";
import { ActorSystem } from "#actors/runtime/system";
import type { Transport } from "#actors/runtime/transport/transport";
import type { Envelope } from "#protocol/codec";
import type { Address } from "#protocol/ids";
import type { AnyMessage } from "#protocol/message";
import { Problem } from "#protocol/problem";
import { type ShardWorker, ShardWorkerReply } from "#protocol/shard-worker";
import { supervisor } from "../index.ts";
import type { Exited, WorkerProcess } from "../instance/workers.ts";
import { Across, type Part } from "../placement/across.ts";

export const facts = {
  architecture: "llama",
  quantisation: "float32",
  layers: 2,
  contextLength: 64,
  vocabularySize: 320,
  weightBytes: 1000,
  loadMs: 1,
};

type Answer = (order: ReturnType<typeof ShardWorker.Load>) => AnyMessage | undefined;

/** Workers that load at once; a test kills them by hand. */
export function house(load: Answer, part: () => Part = () => "alone") {
  /** How much later it is than by the system's clock. */
  const later = { ms: 0 };
  const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + later.ms };
  const system = new ActorSystem("node", clock);
  /** Models that find room at once; all others need what idle ones take. */
  const small = new Set(["m", "n", "kept"]);
  const boss = system.address("supervisor");
  const me = system.address("test");
  const workers: { node: string; kill: Exited }[] = [];
  const lost: string[] = [];
  const located: string[] = [];
  const fetched: string[] = [];
  /** What every worker has to do; tests add and take away. */
  const busy = { requests: 0, idleMs: 0, idle: () => {} };
  const refusesToStart = { reason: "" };
  /** Before it is answered whether a model finds room in what idle ones take. */
  const looking = { before: async () => {} };

  function startWorker(node: string, exited: Exited): WorkerProcess {
    if (refusesToStart.reason) throw new Error(refusesToStart.reason);
    const link = linkOf(node, load);
    workers.push({ node, kill: exited });
    return {
      pid: workers.length,
      link,
      requests: () => busy.requests,
      idleMs: () => busy.idleMs,
      whenIdle(run) {
        if (busy.requests === 0) run();
        else busy.idle = run;
      },
      end: () => queueMicrotask(() => exited("it was told to")),
    };
  }

  system.spawn(
    "supervisor",
    supervisor({
      system,
      self: boss,
      startWorker,
      changed: () => {},
      lost: (worker, { message }, how) =>
        lost.push(`${worker.replace(/-[0-9a-f]{8}/, "")} ${how}: ${message}`),
      across: new Across({ clock: systemClock, changed: () => () => {} }, part),
      resolve: async (model, mayFetch) => {
        if (mayFetch) fetched.push(model);
        if (model === "nope") throw new Problem("notFound", "no model nope");
        return { model, path: `/models/${model}` };
      },
      prepare: async () => {},
      idle: { afterMs: 600_000, kept: ["kept"] },
      fits: async (path, freedBytes) => {
        if (freedBytes > 0) await looking.before();
        return small.has(path.slice("/models/".length)) || freedBytes >= 1000;
      },
      locate: async (model) => {
        located.push(model);
        return `/models/${model.replace("owner/", "")}`;
      },
    }),
  );
  const ask = (message: AnyMessage) =>
    system.ask(boss, message, me, 5000) as Promise<AnyMessage & Record<string, unknown>>;
  return { ask, workers, lost, located, fetched, busy, refusesToStart, looking, later };
}

export const loads = (order: ReturnType<typeof ShardWorker.Load>) =>
  ShardWorkerReply.Loaded({ shard: order.shard, facts });

/** What the worker of that name says to its orders, a moment later. */
function linkOf(node: string, load: Answer): Transport {
  const link: Transport = {
    onReceive: () => {},
    onClose: () => {},
    close: () => {},
    send({ message, from }: Envelope) {
      const answer = load(message as ReturnType<typeof ShardWorker.Load>);
      if (answer)
        queueMicrotask(() =>
          link.onReceive({ to: from, from: `${node}/shard-worker` as Address, message: answer }),
        );
      return true;
    },
  };
  return link;
}
