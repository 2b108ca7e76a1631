/** A group that this worker's layers are in, from its Join to the next or to its end: what arrives, and what is under way. */
import type { Clock } from "#actors/runtime/clock";
import type { Tell } from "#actors/runtime/telling";
import type { Address, RequestId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { Group } from "#protocol/shard";
import type { Engine } from "./engine/engine.ts";
import { hiddenRowsMax } from "./engine/hidden.ts";
import { Pipeline } from "./engine/pipeline.ts";
import { Stage } from "./engine/stage.ts";
import type { Loaded } from "./loading.ts";
import { type Arrived, Member, type PassFailed } from "./member.ts";
import type { Model } from "./models/model.ts";
import type { Rank } from "./ranks/rank-collective.ts";
import { seatOf } from "./seat.ts";

export interface JoinedPorts {
  readonly clock: Clock;
  readonly tell: Tell;
  /** At the last stage: the epoch is over. */
  readonly parted: (problem: Problem) => void;
  /** What the epoch before had as `alone`. */
  readonly alone?: readonly RequestId[] | undefined;
}

export class Joined {
  readonly group: Group;
  /** At the last stage. */
  readonly engine: Engine | undefined;
  readonly #stage: Stage;
  readonly #member: Member;
  readonly #pipeline: Pipeline | undefined;
  readonly #ports: JoinedPorts;
  #over: Problem | undefined;
  #alone: readonly RequestId[] | undefined;
  #silent = (): void => {};

  /** Throws Problem where the layers are not those of the stage. */
  constructor(group: Group, { layers, engine, window, ranks }: Loaded, ports: JoinedPorts) {
    requireFitting(group, layers.model, ranks);
    const { clock, tell } = ports;
    this.group = group;
    this.#ports = ports;
    this.#stage = new Stage(layers);
    this.#member = new Member(group, layers.model, {
      stage: this.#stage,
      clock,
      tell,
      completed: (number, ran, tookMs) => {
        this.#pipeline?.completed(number, ran, tookMs);
        this.#listen();
      },
      underWay: () => this.#pipeline?.underWay ?? 0,
      parted: (problem, number) => this.#part(problem, number),
    });
    if (!engine || group.stage < group.stages.length - 1) return;
    const { range } = layers.model;
    const times = ((ranks?.world ?? 1) * layers.model.layers) / (range.end - range.start);
    this.#pipeline = new Pipeline({
      // Ranks are at the same pass all the time, as one machine is.
      stages: seatOf(group).stages,
      rowsMax: hiddenRowsMax(layers.model.hiddenSize),
      window,
      nbytesOf: (sequence) => this.#stage.nbytesOf(sequence) * times,
      nowMs: () => clock.nowMs(),
      send: (order) => {
        if (this.#over) return;
        this.#listen();
        this.#member.start(order);
      },
    });
    this.engine = engine(this.#pipeline, ports.alone);
  }

  /** Why nothing more is computed, if so. */
  get over(): Problem | undefined {
    return this.#over;
  }

  /** Requests that decode by themselves in the next epoch too: one of them may be what this one ended of. */
  get alone(): readonly RequestId[] {
    return this.#alone ?? this.engine?.alone ?? [];
  }

  /** Whether nothing is under way, as far as it is known here. */
  get idle(): boolean {
    if (this.#over) return true;
    return this.#member.waiting === 0 && (this.#pipeline?.underWay ?? 0) === 0;
  }

  /** Sequences held. */
  get sequences(): number {
    return this.#stage.size;
  }

  /** A pass came in; it is computed by `turn`. */
  arrived(arrived: Arrived): void {
    if (!this.#over) this.#member.arrived(arrived);
  }

  failed(message: PassFailed, from: Address): void {
    this.#member.failed(message, from);
  }

  /** Computes one pass, and begins what follows. Answers whether there may be more to do. */
  turn(): boolean {
    if (this.#over) return false;
    this.#member.turn();
    const began = this.engine?.step() ?? false;
    return began || this.#member.waiting > 0;
  }

  /** The end: requests hear why, and memory is given back. */
  leave(problem: Problem): void {
    this.#over ??= problem;
    this.#silent();
    this.#member.leave();
    this.#alone = this.alone;
    this.engine?.release(problem);
    this.#stage.clear();
  }

  /**
   * The last stage alone knows of what is under way; the others wait for the next Join. Where a pass failed of what is in it, its request
   * is told that, as it would end the next epoch too; all others may go on in it. Several that were in it together go on by
   * themselves there, so that whose fault it was shows.
   */
  #part(problem: Problem, number?: number): void {
    if (this.#over) return;
    const ended = problem.kind === "internal" ? new Problem("unavailable", problem.message) : problem;
    this.#over = ended;
    this.#member.release(ended);
    const isFound = problem !== ended && number !== undefined && this.#pipeline?.failed(number, problem);
    if (isFound) this.#alone = [];
    this.leave(ended);
    this.#ports.parted(ended);
  }

  /**
   * Waits for the next pass to come back, if any is under way. Every pass that is sent or comes back begins the wait anew: one that
   * is lost beside others that go on is not missed here but by the gap it leaves, and they are at most `unitsMax` and one before it.
   */
  #listen(): void {
    this.#silent();
    const waits = this.#pipeline?.underWay;
    const ms = this.#pipeline?.patienceMs;
    if (ms === undefined || this.#over) return;
    this.#silent = this.#ports.clock.after(ms, () => {
      const { instance, stages } = this.group;
      this.#part(
        new Problem(
          "unavailable",
          `${instance}: none of ${waits} passes came back from ${stages.length} machines in ${Math.round(ms / 1000)} s`,
          { remedy: "ask again: the model is placed anew" },
        ),
      );
    });
  }
}

type Layers = Pick<Model, "range" | "layers">;

function requireFitting(
  group: Group,
  { range: { start, end }, layers }: Layers,
  { rank = 0, world = 1 }: Partial<Rank> = {},
): void {
  const { stage, stages, team, rank: place } = seatOf(group);
  if (rank !== place || world !== team.length)
    throw new Problem("invalid", `rank ${rank} of ${world} is not rank ${place} of ${team.length}`, {
      param: "rank",
    });
  const isLast = stage === stages - 1;
  if ((stage === 0) === (start === 0) && isLast === (end === layers)) return;
  throw new Problem(
    "invalid",
    `layers ${start} to ${end} of ${layers} are not those of stage ${stage} of ${stages}`,
    { param: "stage" },
  );
}
