/** One model on this machine: the chart of its life bound to a worker process. */
import { createActor } from "xstate";
import { RestartBudget } from "#actors/runtime/supervision";
import type { ActorSystem } from "#actors/runtime/system";
import type { Address } from "#protocol/ids";
import { Problem, type ProblemBody, problemOf } from "#protocol/problem";
import type { Shard, ShardFacts } from "#protocol/shard";
import { ShardWorker, type ShardWorkerReply } from "#protocol/shard-worker";
import type { ModelState } from "#protocol/supervisor";
import { type InstanceEvent, machine } from "./machine.ts";
import type { WorkerProcess } from "./workers.ts";

/** A worker that dies more often than this is broken: its model fails instead of being loaded for ever. */
const RESTARTS = { restarts: 3, withinMs: 60_000 };
/** Clients that may wait for one model to load. */
const WAITING_MAX = 1024;

export interface InstancePorts {
  readonly system: ActorSystem;
  readonly self: Address;
  /** Starts a worker named `node`; `exited` is called once with the reason. */
  readonly startWorker: (node: string, exited: (reason: string) => void) => WorkerProcess;
  readonly lost: (worker: Address, problem: ProblemBody) => void;
  /** The instance is over, by failure or by being stopped. */
  readonly ended: () => void;
}

export interface Ready {
  readonly worker: Address;
  readonly facts: ShardFacts;
}

export class Instance {
  readonly shard: Shard;
  readonly #ports: InstancePorts;
  readonly #waiting: { resolve: (ready: Ready) => void; reject: (problem: Problem) => void }[] = [];
  readonly #chart;
  #process: WorkerProcess | undefined;
  #worker: Address | undefined;
  #starts = 0;
  #progress: { loadedBytes: number; totalBytes: number } | undefined;
  readonly #over = Promise.withResolvers<void>();

  constructor(shard: Shard, ports: InstancePorts) {
    this.shard = shard;
    this.#ports = ports;
    const budget = new RestartBudget(RESTARTS, ports.system.clock);
    this.#chart = createActor(
      machine.provide({
        actions: {
          startWorker: () => this.#start(),
          endWorker: () => this.#process?.end(),
          announceReady: () => this.#announceReady(),
          announceFailed: (_, problem) => this.#announceFailed(problem),
          announceLost: (_, problem) => this.#worker && ports.lost(this.#worker, problem),
        },
        guards: { mayRestart: () => budget.spend() },
      }),
    );
    this.#chart.subscribe({
      complete: () => {
        ports.ended();
        this.#over.resolve();
      },
    });
    this.#chart.start();
  }

  /** Resolves once the model can answer; rejects with why it cannot. */
  ready(): Promise<Ready> {
    const snapshot = this.#chart.getSnapshot();
    if (snapshot.matches("ready")) return Promise.resolve(this.#readyNow());
    if (snapshot.matches("stopping")) {
      return Promise.reject(new Problem("unavailable", `${this.shard.model} is being stopped`));
    }
    if (snapshot.context.problem) return Promise.reject(problemOf(snapshot.context.problem));
    if (this.#waiting.length >= WAITING_MAX) {
      return Promise.reject(
        new Problem("overloaded", `${WAITING_MAX} requests already wait for ${this.shard.model}`),
      );
    }
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Resolves when its worker is gone. */
  stop(): Promise<void> {
    this.#tell({ type: "Stop" });
    return this.#over.promise;
  }

  /** News from its worker. */
  heard(reply: ShardWorkerReply): void {
    switch (reply.type) {
      case "ShardWorkerReply.Progress":
        this.#progress = reply;
        return;
      case "ShardWorkerReply.Loaded":
        this.#tell({ type: "Loaded", facts: reply.facts });
        return;
      case "ShardWorkerReply.LoadFailed":
        this.#tell({ type: "LoadFailed", problem: reply.problem });
        return;
    }
  }

  state(): ModelState {
    const { value, context } = this.#chart.getSnapshot();
    const states = {
      loading: "loading",
      ready: "ready",
      stopping: "stopping",
      stopped: "stopping",
      failed: "failed",
    } as const;
    return {
      model: this.shard.model,
      path: this.shard.path,
      state: states[value],
      requests: this.#process?.requests() ?? 0,
      ...(this.#worker && { worker: this.#worker }),
      ...(this.#process && { pid: this.#process.pid }),
      ...(context.facts && { facts: context.facts }),
      ...(context.problem && { problem: context.problem }),
      ...(this.#progress && {
        loadedBytes: this.#progress.loadedBytes,
        totalBytes: this.#progress.totalBytes,
      }),
    };
  }

  /** True when this worker node is the one that runs now. */
  owns(node: string): boolean {
    return this.#worker?.startsWith(`${node}/`) ?? false;
  }

  /** News that comes after the end is old: the chart takes no more. */
  #tell(event: InstanceEvent): void {
    if (this.#chart.getSnapshot().status === "active") this.#chart.send(event);
  }

  #start(): void {
    const { system, self, startWorker } = this.#ports;
    this.#starts += 1;
    const node = `worker-${system.clock.freshId().slice(0, 8)}-${this.#starts}`;
    this.#process = startWorker(node, (reason) => this.#exited(node, reason));
    this.#worker = `${node}/shard-worker` as Address;
    system.connect(node, this.#process.link);
    system.send(this.#worker, ShardWorker.Load({ shard: this.shard, replyTo: self }), self);
  }

  #exited(node: string, reason: string): void {
    this.#ports.system.disconnect(node);
    const problem: ProblemBody = {
      kind: "unavailable",
      message: `${this.shard.model}: ${reason}`,
      remedy: "send the request again; the model is loaded anew",
    };
    this.#tell({ type: "Exited", problem });
  }

  #readyNow(): Ready {
    const { facts } = this.#chart.getSnapshot().context;
    if (!facts || !this.#worker) throw new Error("a ready model has a worker and facts");
    return { worker: this.#worker, facts };
  }

  #announceReady(): void {
    // The snapshot still shows the state before; the waiters are answered once the transition is complete.
    queueMicrotask(() => {
      for (const { resolve } of this.#waiting.splice(0)) resolve(this.#readyNow());
    });
  }

  #announceFailed(problem: ProblemBody): void {
    for (const { reject } of this.#waiting.splice(0)) reject(problemOf(problem));
  }
}
