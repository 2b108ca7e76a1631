/** Models that the home holds together, as this machine's gateway asks for them: found, waited for, or placed. */
import type { Clock } from "#actors/runtime/clock";
import type { End } from "#actors/runtime/watches";
import type { Address, NodeId } from "#protocol/ids";
import type { PlacedInstance, PlacementReply, PlacementWish } from "#protocol/placement";
import { Problem, type ProblemBody, problemOf } from "#protocol/problem";
import type { EndKind } from "#protocol/runtime";
import type { ShardFacts } from "#protocol/shard";
import type { ModelState } from "#protocol/supervisor";
import type { Agreed } from "../cluster/agreed.ts";
import { isStopped } from "./holder.ts";
import { change, until } from "./until.ts";

export interface Acquiring {
  readonly model: string;
  readonly wish?: PlacementWish;
  /** A worker that failed whoever asks. */
  readonly lost?: Address;
  /** Whether the model of that name or at that path is held by this machine alone. */
  readonly isHeld: (model: string) => boolean;
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

export interface ServingPorts {
  readonly self: NodeId;
  readonly clock: Clock;
  readonly agreed: () => Agreed;
  /** Calls back when the log, a link or a machine is another; the returned function ends that. */
  readonly changed: (run: () => void) => () => void;
  /** Other machines of this home. */
  readonly others: () => number;
  /** Machines that are there, by what this one hears of them; this one is. */
  readonly isUp: (node: NodeId) => boolean;
  readonly nameOf: (node: NodeId) => string;
  /** Undefined where it is not on this disk; nothing is fetched. */
  readonly own: (model: string) => Promise<Own | undefined>;
  /** Whether its weights would find room in the memory that is free here. */
  readonly fits: (path: string) => boolean;
  /** Asked of whoever leads. Both throw Problem. */
  readonly place: (leader: NodeId, model: string, wish: PlacementWish) => Promise<PlacementReply>;
  readonly release: (leader: NodeId, model: string, now: boolean) => Promise<PlacementReply>;
  /** What this machine holds of it. */
  readonly stateOf: (instance: string) => ModelState | undefined;
  readonly abandon: (instance: string) => Promise<void>;
  /** Calls back when that worker ends or cannot be reached any more; the returned function takes it back. */
  readonly watch: (worker: Address, told: (end: Pick<End, "how" | "why">) => void) => () => void;
  /** Tells the gateway that requests on that worker get no answer any more; `stopped`: because somebody wanted the model's end. */
  readonly lost: (worker: Address, problem: ProblemBody, how: EndKind) => void;
}

/** Two elections: by then a majority is not there. */
const LEADER_MS = 10_000;
/** Without anybody who leads for so long, a model that this machine can hold by itself is not waited for. */
const ORPHANED_MS = 4_000;
/** A worker that somebody lost and that the home still counts on is tried again after so long. */
const LOST_MS = 15_000;
/** Workers that were stopped on purpose and are remembered: those who lost them ask within moments. */
const STOPPED_MAX = 64;
/** What the home agreed on is known everywhere within a quarter of a second. */
const LAG_MS = 500;

interface Given extends Pick<PlacedInstance, "id" | "epoch"> {
  readonly unwatch: () => void;
}

export class Serving {
  readonly #ports: ServingPorts;
  /** Workers that were given out, and of what. */
  readonly #given = new Map<Address, Given>();
  /** Workers that ended because somebody wanted that: answers they held do not bring their models back. */
  readonly #stopped = new Set<Address>();

  constructor(ports: ServingPorts) {
    this.#ports = ports;
  }

  /** Resolves once the model can answer; undefined when this machine is to hold it by itself. Throws Problem. */
  async acquire({ model, wish, lost, isHeld }: Acquiring): Promise<Acquired | undefined> {
    const { agreed, others } = this.#ports;
    this.#refuseIfStopped(model, lost);
    if (!wish && agreed().instances.length === 0 && (others() === 0 || isHeld(model))) return undefined;
    const own = await this.#ports.own(model);
    const name = own?.name ?? model;
    if (!wish && this.#isForOne(name, own, isHeld)) return undefined;
    const isNew = wish || !this.#isStanding(name);
    const notes = isNew ? await this.#place(name, wish ?? this.#placed(name)?.wish ?? {}) : [];
    const ready = await this.#ready(name, { lost, own });
    return ready && { ...ready, ...(notes.length > 0 && { notes: [...notes] }) };
  }

  /** False for a model that the home does not hold together. Throws Problem. */
  async stop(model: string, now: boolean): Promise<boolean> {
    const own = await this.#ports.own(model);
    const placed = this.#placed(model) ?? (own && this.#placed(own.name));
    if (!placed) return false;
    const answer = await this.#ports.release(await this.#leader(), placed.model, now);
    if (answer.type === "PlacementReply.Refused") throw problemOf(answer.problem);
    await until(this.#ports, () => !this.#placed(placed.model), LEADER_MS);
    return true;
  }

  states(): readonly ModelState[] {
    const { agreed, nameOf, stateOf } = this.#ports;
    return agreed().instances.map((record): ModelState => {
      const { id, model, stages, facts, problem } = record;
      const here = stateOf(id);
      const worker = stages.at(-1)?.worker;
      return {
        path: "",
        requests: 0,
        ...here,
        model,
        state: this.#shown(record),
        ...(worker && { worker }),
        ...(facts && { facts }),
        ...(problem && { problem }),
        stages: stages.map(({ node, layers }) => ({ node, name: nameOf(node), layers })),
      };
    });
  }

  /** One that lost a machine is loaded anew, unless nobody is there to decide where. */
  #shown(record: PlacedInstance): ModelState["state"] {
    if (record.state === "draining") return "stopping";
    if (record.state !== "ready" || !this.#broken(record)) return record.state;
    return this.#leaderNow ? "loading" : "failed";
  }

  /** The log or a machine is another: requests on workers that are gone are told. */
  follow(): void {
    const { instances } = this.#ports.agreed();
    for (const [worker, { id, epoch }] of this.#given) {
      const record = instances.find((each) => each.id === id);
      if (isStopped(this.#ports.agreed(), id)) this.#noteStopped(worker);
      if (!record) this.#lost(worker, "it was stopped");
      else if (record.epoch !== epoch || record.state === "failed") this.#lost(worker, "it is placed anew");
      else this.#lostWith(worker, this.#broken(record));
    }
  }

  #noteStopped(worker: Address): void {
    for (const old of this.#stopped) if (this.#stopped.size >= STOPPED_MAX) this.#stopped.delete(old);
    this.#stopped.add(worker);
  }

  /** Throws Problem where the worker that somebody lost had been stopped on purpose. */
  #refuseIfStopped(name: string, lost: Address | undefined): void {
    if (!lost) return;
    const { id } = this.#given.get(lost) ?? {};
    if (this.#stopped.has(lost) || (id !== undefined && isStopped(this.#ports.agreed(), id)))
      throw new Problem("cancelled", `${name} was stopped`);
  }

  #lostWith(worker: Address, why: string | undefined): void {
    if (why !== undefined) this.#lost(worker, why);
  }

  #placed(model: string): PlacedInstance | undefined {
    return this.#ports.agreed().instances.find((each) => each.model === model);
  }

  /** Which of its machines is not there; undefined when all are. */
  #broken({ stages }: PlacedInstance): string | undefined {
    const gone = stages.find(({ node }) => !this.#ports.isUp(node));
    return gone && `${this.#ports.nameOf(gone.node)} is not there`;
  }

  async #place(model: string, wish: PlacementWish): Promise<readonly string[]> {
    const answer = await this.#ports.place(await this.#leader(), model, wish);
    if (answer.type === "PlacementReply.Refused") throw problemOf(answer.problem);
    if (answer.type !== "PlacementReply.Placed") return [];
    const { id, epoch, notes } = answer;
    // The home agreed; this machine hears of it a moment later.
    await until(
      this.#ports,
      () => {
        const { instances, heard } = this.#ports.agreed();
        return heard >= epoch || instances.some((each) => each.id === id && each.epoch >= epoch);
      },
      LEADER_MS,
    );
    return notes;
  }

  /** Whether this machine alone holds it, or can. */
  #isForOne(name: string, own: Own | undefined, isHeld: Acquiring["isHeld"]): boolean {
    const { others, fits } = this.#ports;
    const here = own !== undefined && isHeld(own.path);
    if (this.#isStanding(name)) return here && this.#isOrphaned(name);
    return others() === 0 || here || (own !== undefined && fits(own.path));
  }

  #isStanding(name: string): boolean {
    return (this.#placed(name)?.state ?? "failed") !== "failed";
  }

  /** A machine of it is gone, and nobody leads who could place it anew. */
  #isOrphaned(name: string): boolean {
    const record = this.#placed(name);
    return record !== undefined && this.#leaderNow === undefined && this.#broken(record) !== undefined;
  }

  async #ready(
    name: string,
    { lost, own }: { lost: Address | undefined; own: Own | undefined },
  ): Promise<Acquired | undefined> {
    const { clock } = this.#ports;
    const sinceMs = clock.nowMs();
    let leaderMs = sinceMs;
    for (;;) {
      const record = this.#placed(name);
      if (!record || record.state === "draining")
        throw new Problem("unavailable", `${name} is being stopped`, { remedy: "ask again in a moment" });
      if (record.state === "failed") throw problemOf(record.problem ?? FAILED);
      const answer = this.#answer(record);
      const isSpurned = answer?.worker === lost && clock.nowMs() - sinceMs < LOST_MS;
      if (answer && !isSpurned) return answer;
      if (this.#leaderNow) leaderMs = clock.nowMs();
      if (clock.nowMs() - leaderMs > ORPHANED_MS) return await this.#orphaned(record, own);
      await change(this.#ports);
    }
  }

  /** Its worker and facts, where all its machines are there. */
  #answer(record: PlacedInstance): Acquired | undefined {
    const { id, epoch, state, stages, facts } = record;
    const last = stages.at(-1);
    if (state !== "ready" || !last?.worker || !facts || this.#broken(record)) return undefined;
    const { worker } = last;
    if (!this.#given.has(worker)) {
      // If it was stopped, the log says so first.
      const told = ({ why, how }: Pick<End, "how" | "why">) =>
        this.#ports.clock.after(LAG_MS, () => this.#lost(worker, why, how));
      const unwatch = this.#ports.watch(worker, told);
      this.#given.set(worker, { id, epoch, unwatch });
    }
    return { worker, facts };
  }

  #lost(worker: Address, why: string, how: EndKind = "lost"): void {
    this.#given.get(worker)?.unwatch();
    if (!this.#given.delete(worker)) return;
    const problem: ProblemBody = { kind: "unavailable", message: `the model went away: ${why}` };
    this.#ports.lost(worker, problem, this.#stopped.has(worker) ? "stopped" : how);
  }

  /** Nobody leads who could place it anew: this machine holds it alone, where it can. */
  async #orphaned({ id, model }: PlacedInstance, own: Own | undefined): Promise<undefined> {
    await this.#ports.abandon(id);
    if (own && this.#ports.fits(own.path)) return undefined;
    throw new Problem(
      "unavailable",
      `${model} lost a machine, and too few that vote are up to place it anew`,
      {
        remedy: "start the others; exo nodes shows which vote",
      },
    );
  }

  get #leaderNow(): NodeId | undefined {
    const { agreed, isUp } = this.#ports;
    const { leader } = agreed();
    return leader && isUp(leader) ? leader : undefined;
  }

  async #leader(): Promise<NodeId> {
    await until(this.#ports, () => this.#leaderNow !== undefined, LEADER_MS);
    const leader = this.#leaderNow;
    if (leader) return leader;
    throw new Problem("unavailable", "no machine leads this home now: too few of those that vote are up", {
      remedy: "start the others (exo nodes shows which vote)",
    });
  }
}

const FAILED: ProblemBody = { kind: "internal", message: "the model failed, and nobody said why" };
