/** The requests in flight: each is a chart of edges beside a bounded queue of deltas that its client reads. */
import { createActor } from "xstate";
import { traceChart } from "#actors/runtime/chart";
import type { ActorSystem, Behaviour } from "#actors/runtime/system";
import type { ApiGatewayMessage } from "#protocol/api-gateway";
import type { Delta, Generation } from "#protocol/generation";
import type { Address, RequestId } from "#protocol/ids";
import { ProtocolError } from "#protocol/message";
import { Problem, type ProblemBody, problemBody, problemOf } from "#protocol/problem";
import { type GenerationReply, ShardWorker } from "#protocol/shard-worker";
import { Supervisor, type SupervisorReply } from "#protocol/supervisor";
import { machine, type RequestEvent } from "./machine.ts";

/** A model of hundreds of gigabytes may load for long; the client can leave at any time. */
const ACQUIRE_MS = 30 * 60_000;
/** Requests that may be in flight at once, waiting ones included. */
const REQUESTS_MAX = 4096;
/** Deltas a client may leave unread before its request is ended: more than any context is long. */
const UNREAD_MAX = 1 << 18;

export interface Requests {
  readonly behaviour: Behaviour<GenerationReply | ApiGatewayMessage>;
  /** Streams one answer; throws Problem. Aborting the signal or leaving the loop stops the work. */
  generate(generation: Generation, signal: AbortSignal): AsyncGenerator<Delta>;
  inFlight(): number;
  /** Ends all that are in flight with this problem; their workers stop working on them. */
  end(problem: Problem): void;
}

export function requests(system: ActorSystem, self: Address, supervisor: Address): Requests {
  const open = new Map<RequestId, Request>();

  async function* generate(generation: Generation, signal: AbortSignal): AsyncGenerator<Delta> {
    if (open.size >= REQUESTS_MAX)
      throw new Problem("overloaded", `${REQUESTS_MAX} requests are in flight already`);
    const request = new Request(generation, { system, self, supervisor });
    open.set(generation.id, request);
    const abandon = () => request.abandon();
    signal.addEventListener("abort", abandon, { once: true });
    try {
      if (signal.aborted) abandon();
      yield* request.deltas();
    } finally {
      signal.removeEventListener("abort", abandon);
      request.abandon();
      open.delete(generation.id);
    }
  }

  return {
    generate,
    inFlight: () => open.size,
    end(problem) {
      for (const request of open.values()) request.giveUp(problem);
    },
    behaviour({ message }) {
      switch (message.type) {
        case "GenerationReply.Delta":
          return open.get(message.request)?.push(message.delta);
        case "GenerationReply.Failed":
          return open.get(message.request)?.failed(message.problem);
        case "ApiGateway.WorkerLost":
          for (const request of open.values()) request.workerLost(message.worker, message.problem);
      }
    },
  };
}

interface RequestPorts {
  readonly system: ActorSystem;
  readonly self: Address;
  readonly supervisor: Address;
}

class Request {
  readonly #generation: Generation;
  readonly #chart;
  readonly #unread: Delta[] = [];
  #failure: Problem | undefined;
  #ended = false;
  #wake: () => void = () => {};

  constructor(generation: Generation, ports: RequestPorts) {
    this.#generation = generation;
    const { system, self } = ports;
    this.#chart = createActor(
      machine.provide({
        actions: {
          acquire: () => void this.#acquire(ports),
          generate: (_, { worker }) => {
            const refusal = handOver(worker, generation, { system, self });
            if (refusal) queueMicrotask(() => this.failed(refusal));
          },
          cancel: (_, { worker }) => {
            if (worker) system.send(worker, ShardWorker.Cancel({ request: generation.id }), self);
          },
          fail: (_, problem) => this.#end(problemOf(problem)),
          close: () => this.#end(),
        },
      }),
    );
    traceChart(this.#chart, `${self}/${generation.id}`, system.trace);
    this.#chart.start();
  }

  async *deltas(): AsyncGenerator<Delta> {
    for (;;) {
      const delta = this.#unread.shift();
      if (delta) yield delta;
      else if (this.#failure) throw this.#failure;
      else if (this.#ended) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  push(delta: Delta): void {
    if (this.#ended) return;
    if (this.#unread.length >= UNREAD_MAX) {
      this.failed({
        kind: "overloaded",
        message: `the client left ${UNREAD_MAX} pieces of its answer unread`,
      });
      return;
    }
    this.#unread.push(delta);
    if (delta.type === "finish") this.#tell({ type: "Finished" });
    this.#wake();
  }

  failed(problem: ProblemBody): void {
    this.#tell({ type: "Failed", problem });
  }

  workerLost(worker: Address, problem: ProblemBody): void {
    if (this.#chart.getSnapshot().context.worker === worker) this.failed(problem);
  }

  abandon(): void {
    this.#tell({ type: "Abandoned" });
  }

  /** As if its client had left, but the client is told why. */
  giveUp(problem: Problem): void {
    this.#failure = problem;
    this.abandon();
  }

  /** News that comes after the end is old: the chart takes no more. */
  #tell(event: RequestEvent): void {
    if (this.#chart.getSnapshot().status === "active") this.#chart.send(event);
  }

  async #acquire({ system, self, supervisor }: RequestPorts): Promise<void> {
    try {
      const question = Supervisor.Acquire({ model: this.#generation.model });
      const answer = await system.ask<SupervisorReply>(supervisor, question, self, ACQUIRE_MS);
      if (answer.type === "SupervisorReply.Acquired") this.#tell({ type: "Acquired", worker: answer.worker });
      else if (answer.type === "SupervisorReply.Refused")
        this.#tell({ type: "Refused", problem: answer.problem });
    } catch (error) {
      this.#tell({ type: "Refused", problem: problemBody(error) });
    }
  }

  #end(failure?: Problem): void {
    this.#ended = true;
    this.#failure ??= failure;
    this.#wake();
  }
}

/** Why the worker does not take it; undefined when it does. */
function handOver(
  worker: Address,
  generation: Generation,
  { system, self }: Pick<RequestPorts, "system" | "self">,
): ProblemBody | undefined {
  try {
    return system.send(worker, ShardWorker.Generate({ generation, replyTo: self }), self)
      ? undefined
      : gone(worker);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    const message = `the request cannot be sent to its worker: ${error.message}`;
    return { kind: "tooLarge", message, remedy: "shorten the prompt, its stop strings or its other options" };
  }
}

const gone = (worker: Address): ProblemBody => ({
  kind: "unavailable",
  message: `the worker ${worker} went away before it took the request`,
  remedy: "send the request again",
});
