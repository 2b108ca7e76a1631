/** Models that the home holds together, as this machine's gateway asks for them: found, waited for, or placed. */
import type { Address, NodeId } from "#protocol/ids";
import type { PlacedInstance, PlacementReply, PlacementWish, Rebalanced } from "#protocol/placement";
import { Problem, problemOf } from "#protocol/problem";
import type { ShardFacts } from "#protocol/shard";
import type { LostWorker, ModelState } from "#protocol/supervisor";
import { FasterElsewhere, type FasterPorts } from "./faster-elsewhere.ts";
import { type GivenPorts, GivenWorkers } from "./given.ts";
import { LEADER_MS, Leaders } from "./leaders.ts";
import { FAILED, ifFull, orphaned, stillThere } from "./refusals.ts";
import { shownState } from "./shown.ts";
import { type Around, until } from "./until.ts";
import { Waiting } from "./waiting.ts";
import { isNone, isOptional } from "./wishes.ts";

export interface Acquiring {
  readonly model: string;
  readonly wish?: PlacementWish;
  /** A worker that failed whoever asks. */
  readonly lost?: LostWorker;
  /** Aborted when whoever asks needs no answer any more. */
  readonly left?: AbortSignal;
  /** Whether the model of that name or at that path is held by this machine alone. */
  readonly isHeld: (model: string) => boolean;
  /** What models take that this machine holds alone and would stop for another. */
  readonly idleBytes: () => number;
  /** By this machine, where it has room for it, however fast others are. */
  readonly here?: boolean;
  /** For an answer that was under way: it goes on where the model stands, and nobody is asked whether others are faster. */
  readonly resumes?: boolean;
}

export interface Acquired {
  readonly worker: Address;
  readonly facts: ShardFacts;
  readonly notes?: string[];
}

/** A model on this machine's disk. */
export interface Own {
  readonly name: string;
  readonly path: string;
}

/** Its changes: the log, a link or a machine is another. */
export interface ServingPorts extends GivenPorts, Around, FasterPorts {
  readonly self: NodeId;
  /** Machines that are there, by what this one hears of them; this one is. */
  readonly isUp: (node: NodeId) => boolean;
  /** Whether it can be spoken to at this moment. */
  readonly isLinked: (node: NodeId) => boolean;
  readonly nameOf: (node: NodeId) => string;
  /** Whether its weights would find room in the memory that is free here, and in so many bytes more. */
  readonly fits: (path: string, freedBytes: number) => boolean;
  /** Asked of whoever leads. Both throw Problem. */
  readonly place: (leader: NodeId, model: string, wish: PlacementWish) => Promise<PlacementReply>;
  readonly rebalance: (leader: NodeId, model: string, wish?: PlacementWish) => Promise<PlacementReply>;
  readonly release: (leader: NodeId, model: string, now: boolean) => Promise<PlacementReply>;
  /** What this machine holds of it. */
  readonly stateOf: (instance: string) => ModelState | undefined;
  readonly abandon: (instance: string) => Promise<void>;
}

/** Without anybody who leads for so long, a model that this machine can hold by itself is not waited for. */
const ORPHANED_MS = 4_000;

type Asker = Pick<Acquiring, "lost" | "left">;

export class Serving {
  readonly #ports: ServingPorts;
  readonly #given: GivenWorkers;
  readonly #waiting: Waiting;
  readonly #leaders: Leaders;
  readonly #faster: FasterElsewhere;

  constructor(ports: ServingPorts) {
    this.#ports = ports;
    this.#given = new GivenWorkers(ports);
    this.#waiting = new Waiting(ports);
    this.#leaders = new Leaders(ports);
    this.#faster = new FasterElsewhere(ports, this.#leaders);
  }

  /** Resolves once the model can answer; undefined when this machine is to hold it by itself. Throws Problem. */
  async acquire(asked: Acquiring): Promise<Acquired | undefined> {
    const { model, wish, isHeld, lost } = asked;
    const { agreed, others } = this.#ports;
    if (lost && this.#given.wasStopped(lost.worker)) throw new Problem("cancelled", `${model} was stopped`);
    if (!wish && agreed().instances.length === 0 && (others() === 0 || isHeld(model))) return undefined;
    const own = await this.#ports.own(model);
    const name = own?.name ?? model;
    const isForOne = () => !wish && this.#isForOne(name, own, isHeld);
    const mayStay = isForOne();
    const notes = await (mayStay ? this.#placedFaster(own, asked) : this.#placedAsAsked(name, own, asked));
    if (!notes) return undefined;
    const ready = await this.#ready(name, own, asked).catch((error: unknown) => {
      // Nobody asked for other machines.
      if (mayStay && this.#placed(name)?.state === "failed" && isForOne()) return undefined;
      throw error;
    });
    return ready && { ...ready, ...(notes.length > 0 && { notes: [...notes] }) };
  }

  /** False for a model that the home does not hold together. Throws Problem. */
  async stop(model: string, now: boolean): Promise<boolean> {
    const own = await this.#ports.own(model);
    const asked = own && this.#faster.stopped(own.path);
    const faster = await asked;
    if (faster && faster !== "stays") await this.#heard(faster);
    const placed = this.#placed(model) ?? (own && this.#placed(own.name));
    if (!placed) return asked !== undefined;
    const isThere = () => this.#ports.agreed().instances.some(({ id }) => id === placed.id);
    await this.#leaders
      .answer((leader) => this.#ports.release(leader, placed.model, now))
      .catch((error: unknown) => {
        // Who led before has done it, and could not say so.
        if (isThere() || !(error instanceof Problem && error.kind === "notFound")) throw error;
      });
    await until(this.#ports, () => !isThere(), LEADER_MS);
    if (isThere()) throw stillThere(placed.model);
    return true;
  }

  /** Resolves once it is decided; `acquire` waits until the model is ready again. Throws Problem. */
  async rebalance(model: string, wish?: PlacementWish): Promise<Rebalanced> {
    const placed = this.#placed((await this.#ports.own(model))?.name ?? model) ?? this.#placed(model);
    const name = placed?.model ?? model;
    const answer = await this.#leaders.answer((leader) => this.#ports.rebalance(leader, name, wish));
    if (answer.type !== "PlacementReply.Rebalanced")
      throw new Error(`Rebalance was answered by ${answer.type}`);
    await this.#heard(answer);
    const { moved, before, now, notes } = answer;
    return { model: name, moved, ...(before !== undefined && { before }), now, notes };
  }

  states(): readonly ModelState[] {
    const { self, agreed, nameOf, stateOf } = this.#ports;
    const isLed = this.#leaders.now !== undefined;
    return agreed().instances.map((record) =>
      shownState(record, { self, nameOf, own: stateOf(record.id), broken: this.#broken(record), isLed }),
    );
  }

  /** The log or a machine is another: requests on workers that are gone are told. */
  follow(): void {
    this.#given.follow((record) => this.#broken(record));
  }

  #placed(model: string): PlacedInstance | undefined {
    return this.#ports.agreed().instances.find((each) => each.model === model);
  }

  /** Which of its machines is not there; undefined when all are. */
  #broken({ stages }: PlacedInstance): string | undefined {
    const gone = stages.find(({ node }) => !this.#ports.isUp(node));
    return gone && `${this.#ports.nameOf(gone.node)} is not there`;
  }

  /** Undefined where no machine of the home has room for it, and idle models of this one give way. Throws Problem. */
  async #placedAsAsked(
    name: string,
    own: Own | undefined,
    { wish, idleBytes }: Acquiring,
  ): Promise<readonly string[] | undefined> {
    if (!wish && this.#isStanding(name)) return [];
    const mayStop = () =>
      !wish && !this.#isWished(name) && own !== undefined && this.#ports.fits(own.path, idleBytes());
    return await this.#place(name, wish ?? {}).catch(ifFull(mayStop));
  }

  /** Undefined where this machine is to hold what it can. */
  async #placedFaster(own: Own | undefined, asked: Acquiring): Promise<readonly string[] | undefined> {
    const answer = own && (await this.#faster.placed(own, asked));
    if (answer && answer !== "stays") {
      await this.#heard(answer);
      return answer.notes;
    }
    if (!own || !this.#isStanding(own.name)) return undefined;
    // Where it is by now, or is already and nobody can say more, it need not be here as well.
    return answer !== "stays" || !this.#isForOne(own.name, own, asked.isHeld) ? [] : undefined;
  }

  async #place(model: string, wish: PlacementWish): Promise<readonly string[]> {
    const answer = await this.#leaders.answer((leader) => this.#ports.place(leader, model, wish));
    if (answer.type !== "PlacementReply.Placed") return [];
    await this.#heard(answer);
    return answer.notes;
  }

  /** The home agreed; this machine hears of it a moment later. */
  async #heard({ id, epoch }: { readonly id: string; readonly epoch: number }): Promise<void> {
    const isHeard = () => {
      const { instances, heard } = this.#ports.agreed();
      return heard >= epoch || instances.some((each) => each.id === id && each.epoch >= epoch);
    };
    await until(this.#ports, isHeard, LEADER_MS);
  }

  /** Whether this machine alone holds it, or can. */
  #isForOne(name: string, own: Own | undefined, isHeld: Acquiring["isHeld"]): boolean {
    const { others, fits } = this.#ports;
    const here = own !== undefined && isHeld(own.path);
    const record = this.#placed(name);
    if (record && this.#isStanding(name)) {
      if (here) return this.#isOrphaned(name) || this.#isOptional(record);
      return own !== undefined && this.#isUndecided(record) && fits(own.path, 0);
    }
    if (others() === 0 || here) return true;
    // What was asked for on machines of the home is not done by one of them without a word.
    return !this.#isWished(name) && own !== undefined && fits(own.path, 0);
  }

  /** Nobody is bound to where it is, or to nothing else than a copy that the settings keep here. */
  #isOptional(record: PlacedInstance): boolean {
    const { isKept, self } = this.#ports;
    return isOptional({ ...record, faster: record.faster === true || isKept(record.model) }, self);
  }

  /** Whether this machine had better hold it by itself was not asked yet. */
  #isUndecided(record: PlacedInstance): boolean {
    return isOptional(record, this.#ports.self) && !this.#faster.isTaken(record);
  }

  /** Where it is to be was said once, and holds until it is stopped. */
  #isWished(name: string): boolean {
    return !isNone(this.#placed(name)?.wish ?? {});
  }

  #isStanding(name: string): boolean {
    return (this.#placed(name)?.state ?? "failed") !== "failed";
  }

  /** A machine of it is gone, and nobody leads who could place it anew. */
  #isOrphaned(name: string): boolean {
    const record = this.#placed(name);
    return record !== undefined && this.#leaders.now === undefined && this.#broken(record) !== undefined;
  }

  async #ready(name: string, own: Own | undefined, { lost, left }: Asker): Promise<Acquired | undefined> {
    const { clock } = this.#ports;
    const sinceMs = clock.nowMs();
    const lostIn = lost && this.#given.epochOf(lost.worker);
    let leaderMs = sinceMs;
    const look = (): Acquired | "orphaned" | undefined => {
      const record = this.#standing(name);
      const answer = this.#answer(record);
      // A worker that is in the next placement too is not the one that was lost.
      const isNext = lostIn !== undefined && record.epoch > lostIn;
      if (answer && (isNext || !this.#given.isSpurned(answer.worker, lost, sinceMs))) return answer;
      if (this.#leaders.now) leaderMs = clock.nowMs();
      return clock.nowMs() - leaderMs > ORPHANED_MS ? "orphaned" : undefined;
    };
    const found = await this.#waiting.found(name, look, left);
    return found === "orphaned" ? await this.#orphaned(this.#standing(name), own) : found;
  }

  /** Throws Problem for a model that the home does not hold, or not for long. */
  #standing(name: string): PlacedInstance {
    const record = this.#placed(name);
    if (!record || record.state === "draining")
      throw new Problem("unavailable", `${name} is being stopped`, { remedy: "ask again in a moment" });
    if (record.state === "failed") throw problemOf(record.problem ?? FAILED);
    return record;
  }

  /** Its worker and facts, where all its machines are there, and the last one is linked to this. */
  #answer(record: PlacedInstance): Acquired | undefined {
    const { state, stages, facts } = record;
    const last = stages.at(-1);
    if (state !== "ready" || !last?.worker || !facts || this.#broken(record)) return undefined;
    if (!this.#ports.isLinked(last.node) || !this.#given.give(last.worker, record)) return undefined;
    return { worker: last.worker, facts };
  }

  /** Nobody leads who could place it anew: this machine holds it alone, where it can. */
  async #orphaned(record: PlacedInstance, own: Own | undefined): Promise<undefined> {
    const { id, model } = record;
    const { abandon, fits, stateOf } = this.#ports;
    if (own && fits(own.path, stateOf(id)?.totalBytes ?? 0)) {
      await abandon(id);
      return undefined;
    }
    throw orphaned(model, this.#broken(record) ?? "it lost a machine");
  }
}
