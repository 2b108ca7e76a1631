/** The requests in flight, and who hears what workers say of them. */
import type { ActorSystem, Behaviour } from "#actors/runtime/system";
import type { ApiGatewayMessage } from "#protocol/api-gateway";
import type { Delta, Generation } from "#protocol/generation";
import type { Address, RequestId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { GenerationReply } from "#protocol/shard-worker";
import { Request } from "./request.ts";

/** Requests that may be in flight at once, waiting ones included. */
const REQUESTS_MAX = 4096;

export interface Requests {
  readonly behaviour: Behaviour<GenerationReply | ApiGatewayMessage>;
  /** Streams one answer; throws Problem. Aborting the signal or leaving the loop stops the work. */
  generate(generation: Generation, signal: AbortSignal): AsyncGenerator<Delta>;
  inFlight(): number;
  /** Ends all that are in flight with this problem; their workers stop working on them. */
  end(problem: Problem): void;
  /** Deltas so far that were not the next of their answer, and so reached no client. */
  dropped(): number;
}

export function requests(system: ActorSystem, self: Address, supervisor: Address): Requests {
  const open = new Set<Request>();
  /** Each under the ids of all its tries. */
  const heard = new Map<RequestId, Request>();
  let dropped = 0;

  async function* generate(generation: Generation, signal: AbortSignal): AsyncGenerator<Delta> {
    if (open.size >= REQUESTS_MAX)
      throw new Problem("overloaded", `${REQUESTS_MAX} requests are in flight already`);
    const ids: RequestId[] = [];
    const request = new Request(generation, {
      system,
      self,
      supervisor,
      hear(id, by) {
        ids.push(id);
        heard.set(id, by);
      },
      dropped: () => dropped++,
    });
    open.add(request);
    const abandon = () => request.abandon();
    signal.addEventListener("abort", abandon, { once: true });
    try {
      if (signal.aborted) abandon();
      yield* request.deltas();
    } finally {
      signal.removeEventListener("abort", abandon);
      request.abandon();
      open.delete(request);
      for (const id of ids) heard.delete(id);
    }
  }

  return {
    generate,
    inFlight: () => open.size,
    end(problem) {
      for (const request of open) request.giveUp(problem);
    },
    dropped: () => dropped,
    behaviour({ message, from }) {
      switch (message.type) {
        case "GenerationReply.Delta":
          return heard.get(message.request)?.push(message.request, message.delta, from);
        case "GenerationReply.Failed":
          return heard.get(message.request)?.failed(message.request, message.problem, from);
        case "ApiGateway.WorkerLost":
          for (const request of open) request.workerLost(message.worker, message.problem, message.how);
      }
    },
  };
}
