/** One part of one model: a worker that is never started again by itself, as the others of its group would not know it. */
import type { Address } from "#protocol/ids";
import type { HeldStage } from "#protocol/placement";
import { Problem, type ProblemBody, problemBody, problemOf } from "#protocol/problem";
import type { Group, Shard } from "#protocol/shard";
import { ShardWorker, type ShardWorkerReply } from "#protocol/shard-worker";
import type { ModelState } from "#protocol/supervisor";
import { Instance, type InstancePorts, type Ready } from "../instance/instance.ts";

export interface HoldingPorts extends Omit<InstancePorts, "ended" | "once"> {
  readonly instance: string;
  readonly epoch: number;
  readonly model: string;
  /** Asked once; fetched first where it is not here. Throws Problem. */
  readonly shard: (signal: AbortSignal, progress: Progress) => Promise<Shard>;
}

/** Who leads hears of a load so finely: by that it is known to go on. */
const PROGRESS_STEP = 0.02;
/** Who leads hears of a fetch so often, if it went on: a slow line takes long for each percent, and six minutes without a word are silence. */
const FETCHED_TELL_MS = 30_000;
/** How far a fetch is. */
type Progress = (fetchedBytes: number, totalBytes: number) => void;

/** Who leads hears so soon that an idle model is used again; what it stops ends its answers first in any case. */
const IDLE_LOOK_MS = 5_000;

/** A worker only notes whom it belongs to. */
const JOIN_MS = 10_000;

interface JoiningAs extends Pick<Group, "ranks" | "way" | "hidden"> {
  /** Why they could not meet before. */
  readonly unmet?: string | undefined;
}

interface Joining {
  resolve(): void;
  reject(problem: Problem): void;
}

export class Holding {
  readonly #ports: HoldingPorts;
  #epoch: number;
  #instance: Instance | undefined;
  #ready: Ready | undefined;
  #problem: ProblemBody | undefined;
  #isEnding = false;
  #isIdle = false;
  #cancelIdle = () => {};
  /** The worker is well, and heard no more of those that have the other layers. */
  #isParted = false;
  /** The worker ended itself, as it heard no more of them. */
  #hasWaited = false;
  readonly #fetch = new AbortController();
  #fetched: { readonly loadedBytes: number; readonly totalBytes: number } | undefined;
  /** What who leads knows of the fetch, and since when. */
  #fetchTold: { readonly bytes: number; readonly atMs: number } | undefined;
  #joining: Joining | undefined;
  /** Why its group could not meet before, as who leads says. */
  #unmet: string | undefined;
  /** Resolves when the load has ended one way or the other. */
  #loaded = Promise.resolve();

  constructor(ports: HoldingPorts) {
    this.#ports = ports;
    this.#epoch = ports.epoch;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** As its worker is now; what who leads was told may be five seconds old. */
  get isIdle(): boolean {
    return !this.#isEnding && this.#problem === undefined && (this.#instance?.isIdle ?? false);
  }

  load(): Promise<void> {
    this.#loaded = this.#load().catch((error: unknown) => this.#failed(problemBody(error)));
    return this.#loaded;
  }

  /** Holds the same layers in a later epoch; false where its worker is no more, or about to end. */
  next(epoch: number): boolean {
    if (this.#isEnding || (this.#problem && !this.#isParted)) return false;
    this.#joining?.reject(new Problem("unavailable", `epoch ${this.#epoch} is over`));
    this.#epoch = epoch;
    this.#problem = undefined;
    this.#unmet = undefined;
    this.#isParted = false;
    // Not before the next look: what is used again is not stopped by what was so before.
    this.#isIdle = false;
    this.#ports.changed();
    return true;
  }

  /** What who leads is told. */
  get held(): HeldStage {
    const { instance } = this.#ports;
    const epoch = this.#epoch;
    const why = { ...(this.#isParted && { parted: true }), ...(this.#hasWaited && { waited: true }) };
    if (this.#problem) return { instance, epoch, state: "failed", problem: this.#problem, ...why };
    const idle = this.#isIdle && { idle: true, idleMs: this.#instance?.idleMs ?? 0 };
    if (this.#ready) return { instance, epoch, state: "loaded", ...this.#ready, ...idle };
    return { instance, epoch, state: "loading", ...this.#progress };
  }

  /** In steps, so that not each tensor is told. */
  get #progress(): Pick<HeldStage, "loadedBytes" | "totalBytes" | "fetchedBytes"> {
    if (!this.#instance) return this.#fetchTold ? { fetchedBytes: this.#fetchTold.bytes } : {};
    const { loadedBytes, totalBytes } = this.#instance.state() ?? {};
    if (!loadedBytes || !totalBytes) return {};
    const step = totalBytes * PROGRESS_STEP;
    return loadedBytes < step ? {} : { loadedBytes: Math.floor(loadedBytes / step) * step, totalBytes };
  }

  get state(): ModelState | undefined {
    const unmet = this.#unmet !== undefined && { unmet: this.#unmet };
    if (this.#instance) return { ...this.#instance.state(), ...unmet };
    const { model } = this.#ports;
    return (
      this.#fetched && { model, path: "", state: "loading", requests: 0, fetching: true, ...this.#fetched }
    );
  }

  owns(from: Address): boolean {
    return this.#instance?.owns(from) ?? false;
  }

  heard(reply: ShardWorkerReply): void {
    switch (reply.type) {
      case "ShardWorkerReply.Joined":
        if (reply.epoch === this.#epoch) this.#joining?.resolve();
        return;
      case "ShardWorkerReply.JoinFailed":
        if (reply.epoch === this.#epoch) this.#joining?.reject(problemOf(reply.problem));
        return;
      case "ShardWorkerReply.Parted":
        if (reply.epoch !== this.#epoch) return;
        this.#isParted = !this.#problem;
        this.#failed(reply.problem);
        return;
      default:
        this.#instance?.heard(reply);
    }
  }

  /** Tells the worker of its group; throws Problem where it does not take it. */
  async join(workers: readonly Address[], { unmet, ...how }: JoiningAs = {}): Promise<void> {
    if (unmet !== this.#unmet) {
      this.#unmet = unmet;
      this.#ports.changed();
    }
    const { system, self, instance } = this.#ports;
    const stage = this.#ready ? workers.indexOf(this.#ready.worker) : -1;
    if (!this.#ready || stage < 0)
      throw new Problem("unavailable", "this machine's worker is not one of that group");
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#joining = { resolve, reject };
    const cancel = system.clock.after(JOIN_MS, () =>
      reject(new Problem("unavailable", "the worker did not join its group in time")),
    );
    const group = {
      ...{ instance, epoch: this.#epoch, stages: [...workers], stage },
      ...how,
    };
    system.send(this.#ready.worker, ShardWorker.Join({ group, replyTo: self }), self);
    await promise.finally(cancel);
  }

  /** Resolves when its memory is free. */
  async end(now: boolean): Promise<void> {
    this.#isEnding = true;
    this.#cancelIdle();
    this.#fetch.abort(new Problem("cancelled", "its part is not needed any more"));
    await this.#instance?.stop(now);
    await this.#loaded;
  }

  async #load(): Promise<void> {
    const { lost } = this.#ports;
    const shard = await this.#ports.shard(this.#fetch.signal, (fetched, total) =>
      this.#noteFetched(fetched, total),
    );
    if (this.#isEnding) return;
    this.#instance = new Instance(shard, {
      ...this.#ports,
      once: true,
      lost: (worker, problem, how) => {
        this.#died(problem, how === "lost");
        lost(worker, problem, how);
      },
      ended: () => {},
    });
    this.#instance.start();
    this.#ready = await this.#instance.ready();
    this.#ports.changed();
    this.#lookIdle();
  }

  /** Also while it is parted, as it may go on in the next epoch. */
  #lookIdle(): void {
    const { idle, system, model, changed } = this.#ports;
    const isOver = this.#isEnding || (this.#problem !== undefined && !this.#isParted);
    if (!idle || idle.kept.includes(model) || isOver) return;
    const { isIdle = false, idleMs = 0 } = this.#instance ?? {};
    const isOther = isIdle !== this.#isIdle;
    this.#isIdle = isIdle;
    if (isOther) changed();
    const nextMs = isIdle ? IDLE_LOOK_MS : Math.max(IDLE_LOOK_MS, idle.afterMs - idleMs);
    this.#cancelIdle = system.clock.after(nextMs, () => this.#lookIdle());
  }

  /** Also after its group was over already: there is no worker any more that could go on in another. */
  #died(problem: ProblemBody, hasWaited: boolean): void {
    this.#hasWaited = hasWaited;
    if (this.#isParted) this.#problem = undefined;
    this.#isParted = false;
    this.#failed(problem);
  }

  /** This machine's users are told in steps of one percent. */
  #noteFetched(loadedBytes: number, totalBytes: number): void {
    const percent = (bytes = 0) => Math.floor((100 * bytes) / totalBytes);
    const before = this.#fetched;
    this.#fetched = { loadedBytes, totalBytes };
    const nowMs = this.#ports.system.clock.nowMs();
    const isDue = !this.#fetchTold || nowMs - this.#fetchTold.atMs >= FETCHED_TELL_MS;
    if (isDue) this.#fetchTold = { bytes: loadedBytes, atMs: nowMs };
    if (isDue || !before || percent(before.loadedBytes) !== percent(loadedBytes)) this.#ports.changed();
  }

  #failed(problem: ProblemBody): void {
    if (this.#isEnding || this.#problem) return;
    this.#problem = problem;
    this.#joining?.reject(problemOf(problem));
    this.#ports.changed();
  }
}
