/** One model on this machine: the chart of its life bound to a worker process. */
import { createActor } from "xstate";
import { traceChart } from "#actors/runtime/chart";
import { RestartBudget } from "#actors/runtime/supervision";
import type { ActorSystem } from "#actors/runtime/system";
import type { Address } from "#protocol/ids";
import { Problem, type ProblemBody, problemOf } from "#protocol/problem";
import type { EndKind } from "#protocol/runtime";
import type { Shard, ShardFacts } from "#protocol/shard";
import { ShardWorker, type ShardWorkerReply } from "#protocol/shard-worker";
import type { Pace } from "#protocol/speeds";
import type { ModelState } from "#protocol/supervisor";
import type { IdleRule } from "./idle.ts";
import { type InstanceEvent, machine } from "./machine.ts";
import type { Exited, WorkerProcess } from "./workers.ts";

/** A worker that dies more often than this is broken: its model fails instead of being loaded for ever. */
const RESTARTS = { restarts: 3, withinMs: 60_000 };
/** Clients that may wait for one model to load. */
const WAITING_MAX = 1024;
/** Answers under way when a model is stopped have so long to end. */
export const DRAIN_MS = 30_000;
/** One that is not needed here any more goes once nobody had it for so long: who was just given it has used it by then. */
const IDLE_MS = 5_000;
const STOPPED: ProblemBody = { kind: "unavailable", message: "the model was stopped" };

const ELSEWHERE: ProblemBody = {
  kind: "unavailable",
  message: "the model is held by other machines now",
};

export interface InstancePorts {
  readonly system: ActorSystem;
  readonly self: Address;
  /** Starts a worker named `node`; `exited` is called once. */
  readonly startWorker: (node: string, exited: Exited) => WorkerProcess;
  /** A worker is no more that had been started. */
  readonly lost: (worker: Address, problem: ProblemBody, how: EndKind) => void;
  /** What `state` tells is another. */
  readonly changed: () => void;
  /** The instance is over, by failure or by being stopped. */
  readonly ended: () => void;
  /** Told of what its worker measured of its own steps. */
  readonly measured?: (shard: Shard, pace: Pace) => void;
  /** Absent: nobody asks whether it is idle. */
  readonly idle?: IdleRule;
  /** A worker that dies is not started again. */
  readonly once?: boolean;
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
  #cancelDrain = () => {};
  #isGivenUp = false;
  /** When somebody wanted its worker last. */
  #askedMs: number;
  /** What is told of a worker that does not end by itself. */
  #end: { readonly how: EndKind; readonly problem: ProblemBody } = { how: "stopped", problem: STOPPED };
  /** Of the last worker that ended by itself. */
  #exitedHow: "crashed" | "lost" = "crashed";
  readonly #over = Promise.withResolvers<void>();

  constructor(shard: Shard, ports: InstancePorts) {
    this.shard = shard;
    this.#ports = ports;
    this.#askedMs = ports.system.clock.nowMs();
    const budget = new RestartBudget(RESTARTS, ports.system.clock);
    this.#chart = createActor(
      machine.provide({
        actions: {
          startWorker: () => this.#start(),
          drain: () => this.#drain(),
          endWorker: () => this.#process?.end(),
          announceReady: () => this.#announceReady(),
          announceFailed: (_, problem) => this.#announceFailed(problem),
          announceLost: (_, problem) => this.#worker && ports.lost(this.#worker, problem, this.#exitedHow),
          announceStopped: () => this.#worker && ports.lost(this.#worker, this.#end.problem, this.#end.how),
        },
        guards: { mayRestart: () => !ports.once && budget.spend() },
      }),
    );
    traceChart(this.#chart, `${ports.self}/${shard.model}`, ports.system.trace);
    this.#chart.subscribe({
      next: () => ports.changed(),
      complete: () => {
        ports.ended();
        ports.changed();
        this.#over.resolve();
      },
    });
  }

  #leave(resolve: (ready: Ready) => void): void {
    const at = this.#waiting.findIndex((each) => each.resolve === resolve);
    const [waiter] = at < 0 ? [] : this.#waiting.splice(at, 1);
    waiter?.reject(new Problem("cancelled", `whoever waited for ${this.shard.model} has left`));
  }

  /** Its model is elsewhere as well: ends it once nobody uses it. Whoever comes to it meanwhile has lost it, and goes on there. */
  giveUp(): void {
    if (this.#isGivenUp) return;
    this.#isGivenUp = true;
    this.#goWhenIdle();
  }

  #goWhenIdle(): void {
    const { status, value } = this.#chart.getSnapshot();
    if (status !== "active" || !this.#isGivenUp) return;
    const { clock } = this.#ports.system;
    const isUsed = this.#waiting.length > 0 || (this.#process?.requests() ?? 0) > 0;
    if (value === "ready" && !isUsed && clock.nowMs() - this.#askedMs >= IDLE_MS) {
      this.#end = { how: "lost", problem: ELSEWHERE };
      this.#tell({ type: "Stop", now: false });
    } else clock.after(IDLE_MS, () => this.#goWhenIdle());
  }

  /** Starts its worker; called once. */
  start(): void {
    this.#chart.start();
  }

  /** Resolves once the model can answer; rejects with why it cannot, and when whoever asked has left. */
  ready(left?: AbortSignal): Promise<Ready> {
    const { value, context } = this.#chart.getSnapshot();
    // The home does not hold it after all.
    this.#isGivenUp = false;
    this.#askedMs = this.#ports.system.clock.nowMs();
    if (value === "ready") return Promise.resolve(this.#readyNow());
    if (context.problem) return Promise.reject(problemOf(context.problem));
    if (value !== "loading") {
      return Promise.reject(new Problem("unavailable", `${this.shard.model} is being stopped`));
    }
    if (this.#waiting.length >= WAITING_MAX) {
      return Promise.reject(
        new Problem("overloaded", `${WAITING_MAX} requests already wait for ${this.shard.model}`),
      );
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      left?.addEventListener("abort", () => this.#leave(resolve), { once: true });
    });
  }

  /** Resolves when its worker is gone; answers under way may end first, unless `now`. */
  stop(now: boolean): Promise<void> {
    this.#end = { how: "stopped", problem: STOPPED };
    this.#tell({ type: "Stop", now });
    return this.#over.promise;
  }

  /** How long nobody asked it anything; 0 for one that is not ready, or kept whatever comes. */
  get idleMs(): number {
    const { idle, system } = this.#ports;
    const isReady = this.#chart.getSnapshot().value === "ready" && this.#process !== undefined;
    if (!isReady || idle?.kept.includes(this.shard.model)) return 0;
    return Math.min(this.#process?.idleMs() ?? 0, system.clock.nowMs() - this.#askedMs);
  }

  /** Whether its room may be given to another model. */
  get isIdle(): boolean {
    const { idle } = this.#ports;
    return idle !== undefined && this.idleMs >= idle.afterMs;
  }

  /** News from its worker. */
  heard(reply: ShardWorkerReply): void {
    switch (reply.type) {
      case "ShardWorkerReply.Progress":
        this.#progress = reply;
        this.#ports.changed();
        return;
      case "ShardWorkerReply.Loaded":
        this.#tell({ type: "Loaded", facts: reply.facts });
        return;
      case "ShardWorkerReply.LoadFailed":
        this.#tell({ type: "LoadFailed", problem: reply.problem });
        return;
      case "ShardWorkerReply.Measured":
        this.#ports.measured?.(reply.shard, reply.pace);
        return;
    }
  }

  state(): ModelState {
    const { value, context } = this.#chart.getSnapshot();
    const states = {
      loading: "loading",
      ready: "ready",
      draining: "stopping",
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
      ...(this.isIdle && { idle: true, idleMs: this.idleMs }),
      ...(context.facts && { facts: context.facts }),
      ...(context.problem && { problem: context.problem }),
      ...(this.#progress && {
        loadedBytes: this.#progress.loadedBytes,
        totalBytes: this.#progress.totalBytes,
      }),
    };
  }

  /** True when this worker is the one that runs now. */
  owns(worker: Address): boolean {
    return this.#worker === worker;
  }

  /** News that comes after the end is old: the chart takes no more. */
  #tell(event: InstanceEvent): void {
    if (this.#chart.getSnapshot().status === "active") this.#chart.send(event);
  }

  #start(): void {
    const { system, self, startWorker } = this.#ports;
    this.#starts += 1;
    const node = `worker-${system.clock.freshId().slice(0, 8)}-${this.#starts}`;
    try {
      this.#process = startWorker(node, (...why) => this.#exited(node, ...why));
    } catch (error) {
      // The program's file is gone, or the system starts no more processes: told as the end of a worker that never lived.
      queueMicrotask(() => this.#exited(node, `its worker could not be started: ${String(error)}`));
      return;
    }
    this.#worker = system.adopt(node, "shard-worker", this.#process.link);
    system.send(this.#worker, ShardWorker.Load({ shard: this.shard, replyTo: self }), self);
  }

  #drain(): void {
    const drained = () => this.#tell({ type: "Drained" });
    this.#cancelDrain = this.#ports.system.clock.after(DRAIN_MS, drained);
    this.#process?.whenIdle(drained);
  }

  #exited(node: string, reason: string, own: "crashed" | "lost" = "crashed"): void {
    this.#cancelDrain();
    const { system } = this.#ports;
    this.#exitedHow = own;
    const how = this.#chart.getSnapshot().matches("ready") ? own : "lost";
    system.disown(system.address(node), reason, how);
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
    this.#askedMs = this.#ports.system.clock.nowMs();
    // The snapshot still shows the state before; the waiters are answered once the transition is complete.
    queueMicrotask(() => {
      for (const { resolve } of this.#waiting.splice(0)) resolve(this.#readyNow());
    });
  }

  #announceFailed(problem: ProblemBody): void {
    for (const { reject } of this.#waiting.splice(0)) reject(problemOf(problem));
  }
}
