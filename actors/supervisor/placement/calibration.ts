/** Measures how fast this machine is with a model before it is given a part of it: a worker of its own, for two seconds, with a few layers. */

import { layersToMeasure } from "#actors/planner/calibration";
import { KV_BYTES } from "#actors/planner/home";
import type { ActorSystem } from "#actors/runtime/system";
import type { PlacementSettings } from "#protocol/placement";
import { Problem, problemOf } from "#protocol/problem";
import type { Shard } from "#protocol/shard";
import { ShardWorker, type ShardWorkerReply } from "#protocol/shard-worker";
import type { MeasuredSpeeds, Pace } from "#protocol/speeds";
import { Instance, type InstancePorts } from "../instance/instance.ts";
import type { Own } from "./serving.ts";
import { modelAt, type SpeedBook } from "./speed-book.ts";

export interface CalibrationPorts extends Pick<InstancePorts, "startWorker"> {
  readonly system: ActorSystem;
  readonly book: SpeedBook;
  readonly prepare: () => Promise<void>;
  /** Whether a model computes or is being loaded: measuring would disturb it, and be disturbed. */
  readonly busy: () => Promise<boolean>;
}

/** Reading some hundred megabytes from a slow disk, and two seconds of computing. */
const LOAD_MS = 10_000;
const MEASURE_MS = 5_000;

export class Calibration {
  readonly #ports: CalibrationPorts;
  /** One at a time: two would measure each other. */
  #last: Promise<unknown> = Promise.resolve();
  #over: Problem | undefined;
  #abandon = (_: Problem): void => {};

  constructor(ports: CalibrationPorts) {
    this.#ports = ports;
  }

  /** What is remembered of models like that one, or is measured now. Throws Problem. */
  measure(own: Own, settings: PlacementSettings): Promise<MeasuredSpeeds> {
    const next = this.#last.then(() => this.#measure(own, settings));
    this.#last = next.catch(() => {}); // Told to who asked.
    return next;
  }

  /** Resolves when no worker of it is left: what is measured now is given up, and nothing is measured any more. */
  async stop(): Promise<void> {
    this.#over ??= new Problem("unavailable", "this machine ends, and measures nothing more");
    this.#abandon(this.#over);
    await this.#last;
  }

  async #measure({ name, path }: Own, { kvQuant }: PlacementSettings): Promise<MeasuredSpeeds> {
    const { book, busy, prepare } = this.#ports;
    const model = { ...modelAt(path), kvBytes: KV_BYTES[kvQuant] };
    const known = book.of(model);
    if (known) return known;
    if (await busy())
      throw new Problem(
        "overloaded",
        "this machine computes answers or loads a model: its speed is measured later",
      );
    await prepare();
    if (this.#over) throw this.#over;
    const pace = await this.#paceOf({ model: name, path, layers: layersToMeasure(model.shape), kvQuant });
    const speeds = book.learn(model, pace);
    if (!speeds) throw new Problem("unavailable", `steps of ${name} took too long to be measured`);
    return speeds;
  }

  async #paceOf(shard: Shard): Promise<Pace> {
    const { system, startWorker } = this.#ports;
    const self = system.address("calibration");
    const { promise, resolve, reject } = Promise.withResolvers<Pace>();
    this.#abandon = reject;
    const instance = new Instance(shard, {
      system,
      self,
      startWorker,
      once: true,
      lost: (_, problem) => reject(problemOf(problem)),
      changed: () => {},
      ended: () => {},
    });
    system.spawn<ShardWorkerReply>("calibration", ({ message, from }) => {
      if (!instance.owns(from)) return;
      if (message.type === "ShardWorkerReply.Measured") resolve(message.pace);
      else if (message.type === "ShardWorkerReply.MeasureFailed") reject(problemOf(message.problem));
      else instance.heard(message);
    });
    const late = (what: string) => () =>
      reject(new Problem("unavailable", `${shard.model}: ${what} took too long, so its speed is not known`));
    let cancel = system.clock.after(LOAD_MS, late("loading some layers"));
    try {
      instance.start();
      const { worker } = await Promise.race([instance.ready(), promise.then(() => instance.ready())]);
      cancel();
      cancel = system.clock.after(MEASURE_MS, late("measuring"));
      system.send(worker, ShardWorker.Measure({ replyTo: self }), self);
      return await promise;
    } finally {
      cancel();
      await instance.stop(true);
      system.stop(self);
    }
  }
}
