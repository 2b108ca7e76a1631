/** This machine's parts of models that several machines hold: what to hold it reads in the log, and tells who leads how it goes. */
import type { ActorSystem } from "#actors/runtime/system";
import type { Address, NodeId } from "#protocol/ids";
import {
  type HeldStage,
  type PlacedInstance,
  Placement,
  type Stage,
  type StagesMessage,
} from "#protocol/placement";
import { Problem, type ProblemBody, problemBody } from "#protocol/problem";
import type { EndKind } from "#protocol/runtime";
import type { LayerRange, Shard } from "#protocol/shard";
import type { ShardWorkerReply } from "#protocol/shard-worker";
import type { ModelState } from "#protocol/supervisor";
import type { Agreed } from "../cluster/agreed.ts";
import { isWorkerOf, teamsOf } from "../cluster/instances.ts";
import type { InstancePorts } from "../instance/instance.ts";
import { hiddenOf } from "./hidden.ts";
import { Holding } from "./holding.ts";
import { isSamePart, isWanted, ranksOf, teamOf, wayOf } from "./part.ts";

export interface HolderPorts extends Omit<InstancePorts, "ended" | "lost" | "self" | "changed"> {
  readonly self: NodeId;
  /** The actor that workers and leaders speak to. */
  readonly stages: Address;
  readonly agreed: () => Agreed;
  /** Whether there is a link to that machine, this one included; a new link is another. */
  readonly linkTo: (node: NodeId) => unknown;
  /** What a worker is to load of a placement, checked against its digest; fetched from another machine where it is not here. Throws Problem. */
  readonly shardOf: (record: PlacedInstance, part: PartWanted) => Promise<Shard>;
  /** What this machine holds of that model by itself ends once its answers have: the home holds it now. */
  readonly giveUp: (model: string) => void;
  /** Readies what a new worker needs; throws Problem. */
  readonly prepare: () => Promise<void>;
  /** What this machine holds is another. */
  readonly changed: () => void;
  /** Requests on that worker of this machine get no answer any more; `stopped`: because somebody wanted the model's end. */
  readonly lost: (worker: Address, problem: ProblemBody, how: EndKind) => void;
}

type Joining = Pick<
  Extract<StagesMessage, { type: "Stages.Join" }>,
  "instance" | "epoch" | "workers" | "unmet"
>;

/** What is final reaches every machine that has a link within a heartbeat of the log. */
const AGREED_MS = 5_000;

export interface PartWanted {
  /** Absent: all. */
  readonly layers?: LayerRange;
  readonly signal: AbortSignal;
  readonly progress: (fetchedBytes: number, totalBytes: number) => void;
}

export class Holder {
  readonly #ports: HolderPorts;
  readonly #system: ActorSystem;
  /** By instance; of what placement it is the part. */
  readonly #held = new Map<string, { readonly holding: Holding; readonly of: PlacedInstance }>();
  /** Epochs that were ended here before the log said so; they are not begun again. */
  readonly #ended = new Map<string, number>();
  #told:
    | { readonly leader: NodeId; readonly term: number; readonly link: unknown; readonly what: string }
    | undefined;

  /** Run when the log is another. */
  readonly #looks = new Set<() => void>();

  /**
   * Of the log: what came since is not acted on here yet, and nothing is said about it. Undefined while it is acted on: what ends
   * then says so at once, and who leads would take what has yet to begin for lost.
   */
  #followed: { readonly heard: number; readonly epochs: readonly number[] } | undefined = {
    heard: 0,
    epochs: [],
  };

  constructor(ports: HolderPorts) {
    this.#ports = ports;
    this.#system = ports.system;
  }

  /** The log, who leads, or a link is another: holds what is new there, and ends what is not there any more. */
  follow(): void {
    const { self, agreed } = this.#ports;
    const { instances, heard } = agreed();
    this.#followed = undefined;
    for (const id of this.#ended.keys())
      if (!instances.some((each) => each.id === id)) this.#ended.delete(id);
    for (const [id, { holding }] of this.#held) {
      const record = instances.find((each) => each.id === id);
      if (heard < holding.epoch || isWanted(record, holding.epoch, self)) continue;
      if (!record || !this.#goesOn(record)) void this.#end(id, true).catch(this.#system.caught);
    }
    for (const record of instances) {
      const stage = record.stages.find(({ node }) => node === self);
      // Who leads has what was ready placed anew where a part of it is gone; what is ending is not begun.
      if (stage && record.state === "loading") this.#hold(record, stage);
    }
    this.#followed = { heard, epochs: instances.map(({ epoch }) => epoch) };
    for (const look of this.#looks) look();
    this.#tell();
  }

  /**
   * Resolves when that epoch's part is out of memory here; a newer one stays. Throws Problem where the home did not agree to that: who
   * says so may lead no more.
   */
  async end(instance: string, epoch: number, now: boolean): Promise<void> {
    const isHeld = () => this.#held.get(instance)?.holding.epoch === epoch;
    if (isHeld()) await this.#agreedEnd(instance, epoch);
    if (isHeld()) await this.#end(instance, now);
  }

  /**
   * Begins to end that epoch's part, if nobody asks it anything still: no request comes to it from here on. Who leads has the others end
   * theirs. Throws Problem.
   */
  giveWay(instance: string, epoch: number): void {
    const { holding, of } = this.#held.get(instance) ?? {};
    if (holding?.epoch !== epoch || !holding.isIdle)
      throw new Problem("unavailable", `${of?.model ?? "that model"} is not idle here any more`);
    void this.#end(instance, true).catch(this.#system.caught);
  }

  /** Its other machines are gone and nobody can decide anew: its memory is needed here. */
  async abandon(instance: string): Promise<void> {
    await this.#end(instance, true);
  }

  /** As who leads says, of workers of the machines that the home agreed on. Throws Problem. */
  async join(from: NodeId, { instance, epoch, workers, unmet }: Joining): Promise<void> {
    const { leader, instances } = this.#ports.agreed();
    if (from !== leader) throw new Problem("forbidden", "only who leads tells workers of each other");
    const { holding } = this.#held.get(instance) ?? {};
    const record = instances.find((each) => each.id === instance && each.epoch === epoch);
    if (!record || holding?.epoch !== epoch)
      throw new Problem("unavailable", `epoch ${epoch} of that instance is not held here`);
    const isAgreed =
      record.stages.length === workers.length &&
      record.stages.every(({ node }, at) => isWorkerOf(node, workers[at]));
    if (!isAgreed) throw new Problem("invalid", "these are not the machines of that placement");
    const [way, hidden] = [wayOf(teamOf(record, this.#ports.self)), hiddenOf(record)];
    const how = { ...ranksOf(record), ...(way && { way }), ...(hidden && { hidden }) };
    await holding.join(workers, { unmet, ...how });
  }

  /** Says what it holds, to who leads; also if that was said before. */
  tell(): void {
    this.#told = undefined;
    this.#tell();
  }

  /** News from a worker. */
  heard(from: Address, reply: ShardWorkerReply): void {
    for (const { holding } of this.#held.values()) if (holding.owns(from)) holding.heard(reply);
  }

  /** What is held of an instance here, for `exo ps`. */
  stateOf(instance: string): ModelState | undefined {
    return this.#held.get(instance)?.holding.state;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#held.keys()].map((id) => this.#end(id, true)));
  }

  #hold(record: PlacedInstance, { layers, rank }: Stage): void {
    const { id, epoch, stages } = record;
    const known = this.#held.get(id)?.holding;
    if (known?.epoch === epoch || (this.#ended.get(id) ?? 0) >= epoch) return;
    const before = known ? this.#end(id, true) : undefined;
    this.#ended.delete(id);
    const { stages: boss, self, shardOf, prepare, lost, giveUp } = this.#ports;
    giveUp(record.model);
    const holding = new Holding({
      ...this.#ports,
      self: boss,
      instance: id,
      epoch,
      // A part that ends for another epoch was stopped too, but not the model.
      lost: (worker, problem, how) =>
        lost(worker, problem, isStopped(this.#ports.agreed(), id) ? "stopped" : lostAs(how)),
      model: record.model,
      shard: async (signal, progress) => {
        await before;
        // Of the first epoch also where a later one takes it over meanwhile: model, digest and settings are the same then.
        const part = stages.length > 1 ? { layers } : {};
        const shard = await shardOf(record, { ...part, signal, progress });
        await prepare();
        const world = teamOf(record, self).length;
        const cut = teamsOf(stages).length > 1 && { layers };
        return { ...shard, ...cut, ...(rank !== undefined && { rank, world }) };
      },
      changed: () => {
        this.#ports.changed();
        this.#tell();
      },
    });
    this.#held.set(id, { holding, of: record });
    void holding.load().catch(this.#system.caught);
  }

  /** The same worker serves the next epoch, where its layers are the same: only what is new has to be loaded. */
  #goesOn(record: PlacedInstance): boolean {
    const { self } = this.#ports;
    const known = this.#held.get(record.id);
    if (!known || record.state !== "loading" || record.epoch < known.holding.epoch) return false;
    if (!isSamePart(known.of, record, self) || !known.holding.next(record.epoch)) return false;
    this.#held.set(record.id, { ...known, of: record });
    return true;
  }

  /** Who leads knows what the home agreed on a moment before this machine does. */
  async #agreedEnd(instance: string, epoch: number): Promise<void> {
    const { agreed, self } = this.#ports;
    const record = () => agreed().instances.find(({ id }) => id === instance);
    const isOver = () => !isWanted(record(), epoch, self) || record()?.state === "draining";
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = () => isOver() && resolve();
    const cancel = this.#system.clock.after(AGREED_MS, () =>
      reject(new Problem("unavailable", "the home has not agreed that this model ends")),
    );
    this.#looks.add(look);
    look();
    await promise.finally(() => {
      cancel();
      this.#looks.delete(look);
    });
  }

  async #end(id: string, now: boolean): Promise<void> {
    const { holding } = this.#held.get(id) ?? {};
    if (!holding) return;
    this.#ended.set(id, Math.max(holding.epoch, this.#ended.get(id) ?? 0));
    await holding.end(now).catch((error: unknown) => console.error(problemBody(error).message));
    if (this.#held.get(id)?.holding === holding) this.#held.delete(id);
    this.#ports.changed();
    this.#tell();
  }

  /** To who leads now; nothing that it was told over this link already. */
  #tell(): void {
    if (!this.#followed) return;
    const { agreed, linkTo, stages } = this.#ports;
    const { leader, term } = agreed();
    const { heard, epochs } = this.#followed;
    const link = leader && linkTo(leader);
    if (!leader || !link) {
      // Who leads next, the same machine too, knows nothing of it.
      this.#told = undefined;
      return;
    }
    const parts: HeldStage[] = [...this.#held.values()].map(({ holding }) => holding.held);
    // That nothing is held of an epoch says something only once the epoch is known here.
    const what = JSON.stringify([parts.map(({ idleMs: _, ...part }) => part), epochs]);
    const before = this.#told;
    const isTold = before?.leader === leader && before.term === term && before.link === link;
    if (isTold && before.what === what) return;
    if (this.#system.send(`${leader}/placement` as Address, Placement.Held({ heard, stages: parts }), stages))
      this.#told = { leader, term, link, what };
  }
}

const lostAs = (how: EndKind): EndKind => (how === "stopped" ? "lost" : how);

/** Whether somebody wanted the model's end. */
export function isStopped({ instances }: Agreed, id: string): boolean {
  const record = instances.find((each) => each.id === id);
  return record === undefined || record.state === "draining";
}
