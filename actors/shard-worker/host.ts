/** The engine of a worker process: opens the library once, holds one model or some of its layers, and turns its crank between messages. */
import type { Clock } from "#actors/runtime/clock";
import type { Tell } from "#actors/runtime/telling";
import type { Generation } from "#protocol/generation";
import type { Address, RequestId } from "#protocol/ids";
import { Problem, problemBody } from "#protocol/problem";
import type { Group, Shard, ShardFacts } from "#protocol/shard";
import { ShardWorker } from "#protocol/shard-worker";
import type { Pace } from "#protocol/speeds";
import type { Engine as EnginePort, LoadTold, Sink } from "./effects.ts";
import type { Engine } from "./engine/engine.ts";
import { Joined } from "./joined.ts";
import { type Loaded, loadShard } from "./loading.ts";
import { measured } from "./measure.ts";
import type { Arrived, PassFailed } from "./member.ts";
import { Exchange } from "./ranks/exchange.ts";
import type { RankLink } from "./ranks/rank-link.ts";

/** In a group more work follows soon: memory is tidied up when none did for so long. */
const REST_AFTER_MS = 1_000;
/** Steps after which their times are told of: a short answer alone says little. */
const PACED_EVERY = 64;

/** The engine, and the way in for what other stages say. */
export interface Host extends EnginePort {
  pass(arrived: Arrived): void;
  passFailed(message: PassFailed, from: Address): void;
}

export interface HostPorts {
  /** Where the native library is. */
  readonly libraryFolder: string;
  readonly clock: Clock;
  /** Hears of a failure that no single request can be blamed for. */
  readonly crash: (error: unknown) => void;
  /** To other stages; who holds a whole model needs none. */
  readonly tell?: Tell;
  /** By which other ranks are heard within a pass. */
  readonly rankLink?: Pick<RankLink, "take" | "exchange">;
}

export const createHost = (ports: HostPorts): Host => new WorkerHost(ports);

class WorkerHost implements Host {
  readonly #ports: HostPorts;
  readonly #tell: Tell;
  #loaded: Loaded | undefined;
  /** Of a whole model. */
  #engine: Engine | undefined;
  /** Of some layers, and those who have the others. */
  #joined: Joined | undefined;
  #turning = false;
  #stopRest = (): void => {};
  #paced = (_: Pace): void => {};

  constructor(ports: HostPorts) {
    this.#ports = ports;
    this.#tell = ports.tell ?? (() => "gone");
  }

  async load(shard: Shard, { progress, paced }: LoadTold): Promise<ShardFacts> {
    const { clock, libraryFolder } = this.#ports;
    const startedMs = clock.nowMs();
    const loaded = loadShard(shard, libraryFolder, clock, progress);
    this.#paced = paced;
    this.#loaded = loaded;
    const { range, layers } = loaded.layers.model;
    if (range.end - range.start === layers && !loaded.ranks) this.#engine = loaded.engine?.();
    return { ...loaded.facts, loadMs: clock.nowMs() - startedMs };
  }

  join(group: Group, parted: (problem: Problem) => void): void {
    if (!this.#loaded) throw new Problem("unavailable", "this worker holds no model yet");
    if (group.stages.length === 1 && this.#engine) return;
    const before = this.#joined;
    if (before && before.group.instance === group.instance && before.group.epoch >= group.epoch) {
      if (Bun.deepEquals(before.group, group) && !before.over) return;
      throw new Problem("unavailable", `epoch ${group.epoch} of ${group.instance} is over`);
    }
    const { clock } = this.#ports;
    const ports = { clock, tell: this.#tell, parted, alone: before?.alone };
    const joined = new Joined(group, this.#loaded, ports);
    this.#meet(group, this.#loaded);
    this.#joined = joined;
    before?.leave(new Problem("unavailable", "the machines that compute this model have changed: ask again"));
  }

  async measure(): Promise<Pace> {
    const loaded = this.#loaded;
    if (!loaded) throw new Problem("unavailable", "this worker holds no model yet");
    if (loaded.ranks) throw new Problem("unavailable", "a rank computes nothing without the others");
    if (this.#turning) throw new Problem("overloaded", "this worker computes answers");
    const { clock } = this.#ports;
    try {
      return await measured(loaded.layers, {
        nowMs: () => clock.nowMs(),
        rest: () => new Promise((resolve) => setImmediate(resolve)),
      });
    } finally {
      loaded.rest();
    }
  }

  /** With these ranks sums are made from now on. */
  #meet(group: Group, { ranks, waitFor, meshOf }: Loaded): void {
    const { clock, rankLink } = this.#ports;
    if (!ranks) return;
    if (!rankLink) throw new Problem("internal", "this worker has no way to other ranks");
    const take = (withinMs: number) => rankLink.take(withinMs, waitFor);
    ranks.part();
    if (group.way) ranks.mesh = meshOf(group.way);
    ranks.exchange = new Exchange(group, { tell: this.#tell, take, nowMs: () => clock.nowMs() });
    rankLink.exchange = ranks.exchange;
  }

  submit(generation: Generation, sink: Sink): void {
    const engine = this.#submittable();
    engine.submit(generation, sink);
    this.#start();
  }

  cancel(request: RequestId): void {
    (this.#joined ? this.#joined.engine : this.#engine)?.cancel(request);
  }

  pass(arrived: Arrived): void {
    if (this.#joined) {
      this.#joined.arrived(arrived);
      this.#start();
      return;
    }
    const { instance, epoch, number } = arrived.pass;
    const problem = problemBody(new Problem("unavailable", `this worker is in no group of ${instance}`));
    this.#tell(arrived.from, ShardWorker.PassFailed({ instance, epoch, number, problem }));
  }

  passFailed(message: PassFailed, from: Address): void {
    this.#joined?.failed(message, from);
  }

  release(): void {
    this.#joined?.leave(new Problem("unavailable", "the model was stopped"));
    this.#engine?.release();
    this.#engine = undefined;
    this.#joined = undefined;
    this.#loaded = undefined;
  }

  #submittable(): Engine {
    const engine = this.#joined ? this.#joined.engine : this.#engine;
    if (this.#joined?.over) throw this.#joined.over;
    if (!engine) throw new Problem("unavailable", noEngine(this.#loaded));
    return engine;
  }

  #start(): void {
    if (this.#turning) return;
    this.#turning = true;
    setImmediate(() => this.#turn());
  }

  /** One unit of work, then the event loop's turn, so that a cancel is heard between two tokens. */
  #turn(): void {
    try {
      this.#turning = this.#joined ? this.#joined.turn() : (this.#engine?.step() ?? false);
      if (!this.#turning) this.#rest();
    } catch (error) {
      this.#ports.crash(error);
      return;
    }
    if (this.#turning) setImmediate(() => this.#turn());
  }

  #rest(): void {
    this.#stopRest();
    const { paces, model } = this.#loaded?.layers ?? {};
    if (paces && model && paces.fresh >= PACED_EVERY) this.#paced(paces.told(model.range));
    if (!this.#joined) this.#loaded?.rest();
    else
      this.#stopRest = this.#ports.clock.after(REST_AFTER_MS, () => {
        if (this.#joined?.idle) this.#loaded?.rest();
      });
  }
}

function noEngine(loaded: Loaded | undefined): string {
  if (!loaded) return "this worker holds no model yet";
  const { range, layers } = loaded.layers.model;
  return `this worker holds layers ${range.start} to ${range.end} of ${layers} and is not the last of a group`;
}
