/** What a ShardWorker may touch, and the binding of the chart's effect names to it. */
import { fromPromise } from "xstate";
import type { Delta, Generation } from "#protocol/generation";
import type { Address, RequestId } from "#protocol/ids";
import type { AnyMessage } from "#protocol/message";
import { Problem, problemBody } from "#protocol/problem";
import type { Group, Shard, ShardFacts } from "#protocol/shard";
import { GenerationReply, ShardWorkerReply } from "#protocol/shard-worker";
import type { Pace } from "#protocol/speeds";
import type { GenerateOrder, JoinOrder, LoadOrder, MeasureOrder } from "./machine.ts";

/** The engine as the actor sees it: production passes MLX, a test passes a fake. */
export interface Engine {
  /** A load that fails may leave memory behind: the process is then ended by whoever started it. */
  load(shard: Shard, told: LoadTold, signal: AbortSignal): Promise<ShardFacts>;
  /** Times a few steps of the layers held. Throws Problem while answers are under way. */
  measure(): Promise<Pace>;
  /** Throws Problem when the request cannot be taken; afterwards `sink` hears of it. */
  submit(generation: Generation, sink: Sink): void;
  cancel(request: RequestId): void;
  /**
   * Computes with these others from now on, and with none of a group before. Throws Problem where the layers held are not those of
   * its stage. `parted` is called where the group cannot go on.
   */
  join(group: Group, parted: (problem: Problem) => void): void;
  /** Ends every request. The weights go with the process. */
  release(): void;
}

export interface LoadTold {
  progress(loadedBytes: number, totalBytes: number): void;
  /** After answers, as long as the model is held: how long their steps took. */
  paced(pace: Pace): void;
}

export interface Sink {
  delta(delta: Delta): void;
  failed(error: unknown): void;
}

export interface Ports {
  readonly engine: Engine;
  readonly tell: (to: Address, message: AnyMessage) => void;
  /** The engine computes with these others from now on. */
  readonly joined?: (group: Group) => void;
}

export function effects({ engine, tell, joined }: Ports) {
  const fail = (to: Address, request: RequestId, error: unknown) =>
    tell(to, GenerationReply.Failed({ request, problem: problemBody(error) }));
  return {
    actors: {
      load: fromPromise<ShardFacts, LoadOrder>(({ input: { shard, replyTo }, signal }) =>
        engine.load(
          shard,
          {
            progress: (loadedBytes, totalBytes) =>
              tell(replyTo, ShardWorkerReply.Progress({ shard, loadedBytes, totalBytes })),
            paced: (pace) => tell(replyTo, ShardWorkerReply.Measured({ shard, pace })),
          },
          signal,
        ),
      ),
    },
    actions: {
      loaded: (_: unknown, { order, facts }: { order: LoadOrder; facts: ShardFacts }) =>
        tell(order.replyTo, ShardWorkerReply.Loaded({ shard: order.shard, facts })),
      loadFailed: (_: unknown, { order, error }: { order: LoadOrder; error: unknown }) =>
        tell(order.replyTo, ShardWorkerReply.LoadFailed({ shard: order.shard, problem: problemBody(error) })),
      refuseLoad: (
        _: unknown,
        { order: { shard, replyTo }, held }: { order: LoadOrder; held: LoadOrder },
      ) => {
        const problem = new Problem("invalid", `this worker holds or loads ${held.shard.model} already`, {
          remedy: `unload it first, or start another worker for ${shard.model}`,
        });
        tell(replyTo, ShardWorkerReply.LoadFailed({ shard, problem: problemBody(problem) }));
      },
      generate: (_: unknown, { generation, replyTo }: GenerateOrder) => {
        const request = generation.id;
        try {
          engine.submit(generation, {
            delta: (delta) => tell(replyTo, GenerationReply.Delta({ request, delta })),
            failed: (error) => fail(replyTo, request, error),
          });
        } catch (error) {
          fail(replyTo, request, error);
        }
      },
      refuse: (_: unknown, { replyTo, request }: { replyTo: Address; request: RequestId }) =>
        fail(replyTo, request, new Problem("unavailable", "this worker holds no model yet")),
      join: (_: unknown, { group, replyTo }: JoinOrder) => {
        const { instance, epoch } = group;
        const parted = (problem: Problem) =>
          tell(replyTo, ShardWorkerReply.Parted({ instance, epoch, problem: problemBody(problem) }));
        try {
          engine.join(group, parted);
          joined?.(group);
          tell(replyTo, ShardWorkerReply.Joined({ instance, epoch }));
        } catch (error) {
          tell(replyTo, ShardWorkerReply.JoinFailed({ instance, epoch, problem: problemBody(error) }));
        }
      },
      refuseJoin: (_: unknown, { group: { instance, epoch }, replyTo }: JoinOrder) => {
        const problem = problemBody(new Problem("unavailable", "this worker holds no model yet"));
        tell(replyTo, ShardWorkerReply.JoinFailed({ instance, epoch, problem }));
      },
      measure: (
        _: unknown,
        { order: { replyTo }, held: { shard } }: { order: MeasureOrder; held: LoadOrder },
      ) =>
        void engine.measure().then(
          (pace) => tell(replyTo, ShardWorkerReply.Measured({ shard, pace })),
          (error: unknown) =>
            tell(replyTo, ShardWorkerReply.MeasureFailed({ shard, problem: problemBody(error) })),
        ),
      refuseMeasure: (
        _: unknown,
        { order: { replyTo }, held: { shard } }: { order: MeasureOrder; held: LoadOrder },
      ) => {
        const problem = problemBody(new Problem("unavailable", `${shard.model} is being loaded`));
        tell(replyTo, ShardWorkerReply.MeasureFailed({ shard, problem }));
      },
      cancel: (_: unknown, { request }: { request: RequestId }) => engine.cancel(request),
      release: () => engine.release(),
    },
  };
}
