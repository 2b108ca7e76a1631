/**
 * A worker watches those it depends on: the other stages of its group, so that requests end at once with a stage instead of by a
 * deadline; and the gateways of other machines, so that nothing is computed for clients whose machine is gone.
 */
import type { Received } from "#actors/runtime/actor";
import type { ActorSystem, Behaviour } from "#actors/runtime/system";
import type { Tell } from "#actors/runtime/telling";
import { type End, watchedAnew } from "#actors/runtime/watches";
import type { Address, RequestId } from "#protocol/ids";
import { Problem, problemBody } from "#protocol/problem";
import type { Group } from "#protocol/shard";
import { type GenerationReply, ShardWorker, type ShardWorkerMessage } from "#protocol/shard-worker";
import type { Host } from "./host.ts";

export interface WatchingPorts {
  readonly system: Pick<ActorSystem, "watch" | "send">;
  readonly self: Address;
  /** The machine of this worker: it does not outlive it. */
  readonly parent: string;
  readonly host: Pick<Host, "passFailed">;
}

interface Asker {
  readonly requests: Set<RequestId>;
  readonly unwatch: () => void;
}

export class Watching {
  readonly #ports: WatchingPorts;
  readonly #askers = new Map<Address, Asker>();
  #unwatchGroup: readonly (() => void)[] = [];

  constructor(ports: WatchingPorts) {
    this.#ports = ports;
  }

  /** As `behaviour`, with what this watches for. */
  over(behaviour: Behaviour<ShardWorkerMessage>): Behaviour<ShardWorkerMessage> {
    return (received: Received<ShardWorkerMessage>) => {
      const { message } = received;
      if (message.type === "ShardWorker.Generate") this.#asked(message.replyTo, message.generation.id);
      behaviour(received);
    };
  }

  /** As `tell`, which says when a request has ended. */
  told(tell: Tell): Tell {
    return (to, message, body) => {
      if (this.#askers.size > 0) this.#ended(to, message as GenerationReply);
      return tell(to, message, body);
    };
  }

  /** This worker is in this group from now on, and in none before it. */
  joined({ instance, epoch, stages, stage }: Group): void {
    for (const unwatch of this.#unwatchGroup) unwatch();
    const { system, host } = this.#ports;
    const failed = (other: Address) => {
      return ({ why, lane }: End) => {
        const lost = lane ? "a link between machines that compute" : "a machine that computes";
        const problem = problemBody(new Problem("unavailable", `${lost} this model was lost: ${why}`));
        const more = lane && { lane };
        host.passFailed(ShardWorker.PassFailed({ instance, epoch, number: 0, problem, ...more }), other);
      };
    };
    this.#unwatchGroup = stages.flatMap((other, at) =>
      at === stage ? [] : [watchedAnew(system, other, failed(other))],
    );
  }

  #asked(asker: Address, request: RequestId): void {
    const { system, self, parent } = this.#ports;
    if (asker.startsWith(`${parent}/`)) return;
    const known = this.#askers.get(asker);
    if (known) {
      known.requests.add(request);
      return;
    }
    const requests = new Set([request]);
    const unwatch = system.watch(asker, () => {
      this.#askers.delete(asker);
      for (const each of requests) system.send(self, ShardWorker.Cancel({ request: each }), self);
    });
    this.#askers.set(asker, { requests, unwatch });
  }

  #ended(to: Address, message: GenerationReply): void {
    const asker = this.#askers.get(to);
    if (!asker || !isLast(message)) return;
    asker.requests.delete(message.request);
    if (asker.requests.size > 0) return;
    this.#askers.delete(to);
    asker.unwatch();
  }
}

const isLast = (message: GenerationReply): boolean =>
  message.type === "GenerationReply.Failed" ||
  (message.type === "GenerationReply.Delta" && message.delta.type === "finish");
