/**
 * One request in flight: a chart of edges beside a bounded queue of deltas that its client reads. A worker that is lost does not
 * end it: the next one is given what the client has of the answer, and goes on after that.
 */
import { createActor } from "xstate";
import { traceChart } from "#actors/runtime/chart";
import type { ActorSystem } from "#actors/runtime/system";
import type { Delta, Generation } from "#protocol/generation";
import { type Address, type RequestId, tryOf } from "#protocol/ids";
import { ProtocolError } from "#protocol/message";
import { type Problem, type ProblemBody, problemBody, problemOf } from "#protocol/problem";
import type { EndKind } from "#protocol/runtime";
import { ShardWorker } from "#protocol/shard-worker";
import { type LostWorker, Supervisor, type SupervisorReply } from "#protocol/supervisor";
import { Attempts } from "./attempts.ts";
import { gone, missing, unread } from "./endings.ts";
import { Journal } from "./journal.ts";
import { machine, type RequestEvent } from "./machine.ts";

/** A model of hundreds of gigabytes may load for long; the client can leave at any time. */
const ACQUIRE_MS = 30 * 60_000;
/** The same, in the middle of an answer: who has waited so long better asks again. */
const REACQUIRE_MS = 10 * 60_000;
/** Deltas a client may leave unread before its request is ended: more than any context is long. */
const UNREAD_MAX = 1 << 18;

export interface RequestPorts {
  readonly system: ActorSystem;
  readonly self: Address;
  readonly supervisor: Address;
  /** What is said of this id is for this request. */
  readonly hear: (id: RequestId, request: Request) => void;
  /** A delta came that was not next. */
  readonly dropped: () => void;
}

export class Request {
  readonly #generation: Generation;
  readonly #ports: RequestPorts;
  readonly #chart;
  readonly #journal: Journal;
  readonly #attempts: Attempts;
  readonly #unread: Delta[] = [];
  #failure: Problem | undefined;
  #ended = false;
  #wake: () => void = () => {};
  /** Each try has an id of its own, so that nothing a lost worker still says is taken for another's word. */
  #tries = 0;
  /** Of the try under way. */
  #id: RequestId | undefined;
  /** It shall not be named again by who has not heard of its end. */
  #lost: LostWorker | undefined;
  /** The try before, where its worker may still be at it. */
  #before: { readonly worker: Address; readonly id: RequestId } | undefined;
  #cancelRest = () => {};

  constructor(generation: Generation, ports: RequestPorts) {
    this.#generation = seeded(generation);
    this.#ports = ports;
    const { system, self } = ports;
    this.#journal = new Journal(() => system.clock.nowMs());
    this.#attempts = new Attempts(() => system.clock.nowMs());
    this.#chart = createActor(
      machine.provide({
        actions: {
          acquire: () => void this.#acquire(),
          withdraw: () => this.#withdraw(),
          generate: (_, { worker }) => this.#handOver(worker),
          cancel: (_, { worker }) => this.#cancel(worker),
          rest: () => this.#rest(),
          rise: () => this.#cancelRest(),
          fail: (_, problem) => this.#end(problemOf(problem)),
          giveUp: (_, problem) => this.#end(problemOf(this.#attempts.ended(problem, this.#journal.count))),
          close: () => this.#end(),
        },
        guards: {
          wasNowhere: () => this.#id === undefined && this.#attempts.maySeek(),
          mayResume: () => this.#id !== undefined && this.#attempts.mayResume() && !this.#journal.isFull,
          mayAskAgain: (_, problem) => this.#attempts.mayAskAgain(problem),
          isResuming: () => this.#attempts.count > 0,
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

  /** `from` others than the worker of this try it is not the answer: ids of tries can be guessed. */
  push(id: RequestId, delta: Delta, from: Address): void {
    if (id !== this.#id || from !== this.#worker || this.#ended) {
      this.#ports.dropped();
      return;
    }
    const journal = this.#journal;
    const place = journal.note(delta);
    if (delta.type === "started") this.#attempts.begun();
    else if (place !== "next") this.#ports.dropped();
    if (place === "gap") {
      this.#cancel(this.#worker);
      this.#lose(missing(journal.count));
    }
    if (place !== "next") return;
    if (this.#unread.length >= UNREAD_MAX) {
      this.#cancel(this.#worker);
      this.#tell({ type: "Failed", problem: unread(UNREAD_MAX) });
      return;
    }
    this.#unread.push(delta.type === "finish" ? { ...delta, timings: journal.inAll(delta.timings) } : delta);
    if (delta.type === "finish") this.#tell({ type: "Finished" });
    this.#wake();
  }

  /** Its worker does not go on with it. */
  failed(id: RequestId, problem: ProblemBody, from: Address): void {
    if (id !== this.#id || from !== this.#worker) return;
    if (problem.kind === "unavailable") this.#lose(problem, { worker: from, isOut: false });
    else if (problem.kind === "overloaded" && this.#attempts.count > 1 && !this.#journal.isStarted) {
      this.#attempts.notTaken();
      this.#id = undefined;
      this.#lose(problem);
    } else this.#tell({ type: "Failed", problem });
  }

  /** The worker is no more; one that was stopped takes its requests with it. */
  workerLost(worker: Address, problem: ProblemBody, how: EndKind): void {
    if (this.#id === undefined || this.#worker !== worker) return;
    if (how === "stopped") {
      this.#tell({ type: "Failed", problem });
      return;
    }
    this.#attempts.gone();
    if (how === "crashed") this.#attempts.crashed(this.#journal.count, this.#journal.isStarted);
    if (how === "lost") this.#before = { worker, id: this.#id };
    this.#lose(problem, { worker, isOut: how === "lost" });
  }

  abandon(): void {
    this.#tell({ type: "Abandoned" });
  }

  /** As if its client had left, but the client is told why. */
  giveUp(problem: Problem): void {
    this.#failure = problem;
    this.abandon();
  }

  get #worker(): Address | undefined {
    return this.#chart.getSnapshot().context.worker;
  }

  /** News that comes after the end is old: the chart takes no more. */
  #tell(event: RequestEvent): void {
    if (this.#chart.getSnapshot().status === "active") this.#chart.send(event);
  }

  #lose(problem: ProblemBody, lost?: LostWorker): void {
    this.#lost = lost;
    this.#journal.lost();
    this.#attempts.lost();
    this.#tell({ type: "Lost", problem });
  }

  async #acquire(): Promise<void> {
    this.#id = undefined;
    const { system, self, supervisor } = this.#ports;
    try {
      const question = Supervisor.Acquire({
        model: this.#generation.model,
        ...(this.#lost && { lost: this.#lost }),
        ...(this.#tries > 0 && { resumes: true }),
        question: this.#generation.id,
      });
      const waitMs = this.#attempts.count > 0 ? REACQUIRE_MS : ACQUIRE_MS;
      const answer = await system.ask<SupervisorReply>(supervisor, question, self, waitMs);
      if (answer.type === "SupervisorReply.Acquired") this.#tell({ type: "Acquired", worker: answer.worker });
      else if (answer.type === "SupervisorReply.Refused")
        this.#tell({ type: "Refused", problem: answer.problem });
    } catch (error) {
      this.#withdraw();
      this.#tell({ type: "Refused", problem: problemBody(error) });
    }
  }

  #handOver(worker: Address): void {
    this.#tries += 1;
    const { id } = this.#generation;
    const tried = tryOf(id, this.#tries);
    this.#ports.hear(tried, this);
    // Out of reach for a while, it still computes the answer for nobody.
    if (this.#before?.worker === worker) this.#tellToCancel(this.#before);
    this.#before = undefined;
    const refusal = this.#give(worker, tried);
    if (!refusal) {
      this.#id = tried;
      this.#attempts.taken();
      this.#journal.opened();
    } else if (refusal.kind === "unavailable")
      queueMicrotask(() => this.#lose(refusal, { worker, isOut: true }));
    else queueMicrotask(() => this.#tell({ type: "Failed", problem: refusal }));
  }

  /** Why the worker does not take it; undefined when it does. */
  #give(worker: Address, id: RequestId): ProblemBody | undefined {
    const { system, self } = this.#ports;
    const generation = { ...this.#journal.resumed(this.#generation), id };
    try {
      return system.send(worker, ShardWorker.Generate({ generation, replyTo: self }), self)
        ? undefined
        : gone(worker);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      const message = `the request cannot be sent to its worker: ${error.message}`;
      return {
        kind: "tooLarge",
        message,
        remedy: "shorten the prompt, its stop strings or its other options",
      };
    }
  }

  #cancel(worker: Address | undefined): void {
    if (worker && this.#id) this.#tellToCancel({ worker, id: this.#id });
  }

  #tellToCancel({ worker, id }: { readonly worker: Address; readonly id: RequestId }): void {
    const { system, self } = this.#ports;
    system.send(worker, ShardWorker.Cancel({ request: id }), self);
  }

  #withdraw(): void {
    const { system, self, supervisor } = this.#ports;
    system.send(supervisor, Supervisor.Withdraw({ question: this.#generation.id }), self);
  }

  #rest(): void {
    const rested = () => this.#tell({ type: "Rested" });
    this.#cancelRest = this.#ports.system.clock.after(this.#attempts.restMs(), rested);
  }

  #end(failure?: Problem): void {
    this.#ended = true;
    this.#failure ??= failure;
    this.#wake();
  }
}

/** Chance that does not depend on the worker: an answer that is gone on with elsewhere is the same one. */
function seeded(generation: Generation): Generation {
  const { id, sampling } = generation;
  if (sampling.seed !== undefined) return generation;
  const seed = Number(BigInt.asUintN(53, Bun.hash.wyhash(id)));
  return { ...generation, sampling: { ...sampling, seed } };
}
