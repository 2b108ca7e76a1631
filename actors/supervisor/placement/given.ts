/** Workers that this machine's gateway was given: each is watched, and when one is gone, whoever has requests on it is told once. */
import type { Clock } from "#actors/runtime/clock";
import type { End } from "#actors/runtime/watches";
import type { Address } from "#protocol/ids";
import type { PlacedInstance } from "#protocol/placement";
import type { ProblemBody } from "#protocol/problem";
import type { EndKind } from "#protocol/runtime";
import type { LostWorker } from "#protocol/supervisor";
import type { Agreed } from "../cluster/agreed.ts";
import { isStopped } from "./holder.ts";

export type Ended = Pick<End, "how" | "why">;

export interface GivenPorts {
  readonly clock: Clock;
  readonly agreed: () => Agreed;
  /** Calls back when that worker ends or cannot be reached any more; the returned function takes it back. */
  readonly watch: (worker: Address, told: (end: Ended) => void) => () => void;
  /** Tells the gateway that requests on that worker get no answer any more; `stopped`: because somebody wanted the model's end. */
  readonly lost: (worker: Address, problem: ProblemBody, how: EndKind) => void;
}

interface Given extends Pick<PlacedInstance, "id" | "epoch"> {
  readonly sinceMs: number;
  readonly unwatch: () => void;
}

interface Leaving extends Pick<PlacedInstance, "id" | "epoch"> {
  readonly tell: () => void;
}

/** A worker that gave a request back and that the home still counts on is tried again after so long: by then it is placed anew. */
const LOST_MS = 15_000;
/** A watch on a worker that is not there is answered within: a question and its answer over a slow link. */
const PROBE_MS = 500;
/** What the home agreed on is known everywhere within a quarter of a second. */
const LAG_MS = 500;
/** Workers that are gone and are remembered: those who lost them ask within moments. */
const PAST_MAX = 256;

const STOPPED: Ended = { how: "stopped", why: "it was stopped" };

export class GivenWorkers {
  readonly #ports: GivenPorts;
  readonly #given = new Map<Address, Given>();
  /** Lost this moment: who has requests on them is told once it is known whether somebody wanted that. */
  readonly #leaving = new Map<Address, Leaving>();
  /** Those that were given, and of what they were the last time; the newest last. */
  readonly #past = new Map<Address, Pick<PlacedInstance, "id" | "epoch">>();
  /** Workers that ended because somebody wanted that: answers they held do not bring their models back. */
  readonly #stopped = new Set<Address>();

  constructor(ports: GivenPorts) {
    this.#ports = ports;
  }

  /** False for one that was lost this moment: whoever got it would be told that too, as those before. */
  give(worker: Address, { id, epoch }: Pick<PlacedInstance, "id" | "epoch">): boolean {
    if (this.#leaving.has(worker)) return false;
    if (this.#given.has(worker)) return true;
    const { clock, watch } = this.#ports;
    const unwatch = watch(worker, (end) => this.#told(worker, end));
    this.#given.set(worker, { id, epoch, sinceMs: clock.nowMs(), unwatch });
    remember(this.#past, worker, { id, epoch });
    return true;
  }

  /** Whether who lost that worker, and asks since then, had better wait: for another placement, or to be sure that it is there. */
  isSpurned(worker: Address, lost: LostWorker | undefined, askedMs: number): boolean {
    if (worker !== lost?.worker) return false;
    const nowMs = this.#ports.clock.nowMs();
    if (!lost.isOut) return nowMs - askedMs < LOST_MS;
    const given = this.#given.get(worker);
    return given === undefined || nowMs - given.sinceMs < PROBE_MS;
  }

  /** In which it was given last. */
  epochOf(worker: Address): number | undefined {
    return this.#past.get(worker)?.epoch;
  }

  /** Whether somebody wanted the end of the model that it held. */
  wasStopped(worker: Address): boolean {
    const { id } = this.#past.get(worker) ?? {};
    return this.#stopped.has(worker) || (id !== undefined && isStopped(this.#ports.agreed(), id));
  }

  /** The log or a machine is another. `broken`: which machine of a placement is not there. */
  follow(broken: (record: PlacedInstance) => string | undefined): void {
    const agreed = this.#ports.agreed();
    const isAnew = ({ id, epoch }: Leaving) =>
      agreed.instances.some((each) => each.id === id && each.epoch !== epoch);
    for (const leaving of this.#leaving.values()) if (isAnew(leaving)) leaving.tell();
    for (const [worker, { id, epoch }] of this.#given) {
      const record = agreed.instances.find((each) => each.id === id);
      if (isStopped(agreed, id)) this.#noteStopped(worker);
      const isOther = record && (record.epoch !== epoch || record.state === "failed");
      const why = record ? (isOther ? "it is placed anew" : broken(record)) : STOPPED.why;
      if (why !== undefined) this.#lose(worker, { how: "lost", why });
    }
  }

  #told(worker: Address, end: Ended): void {
    const given = this.#given.get(worker);
    if (!given) return;
    this.#given.delete(worker);
    const tell = () => {
      cancel();
      this.#leaving.delete(worker);
      const isWanted = this.wasStopped(worker);
      if (isWanted) this.#noteStopped(worker);
      this.#tell(worker, isWanted ? STOPPED : end);
    };
    // If it was stopped, the log says so first.
    const cancel = this.#ports.clock.after(LAG_MS, tell);
    this.#leaving.set(worker, { id: given.id, epoch: given.epoch, tell });
  }

  #lose(worker: Address, end: Ended): void {
    this.#given.get(worker)?.unwatch();
    if (this.#given.delete(worker)) this.#tell(worker, end);
  }

  #tell(worker: Address, { how, why }: Ended): void {
    const problem: ProblemBody = { kind: "unavailable", message: `the model went away: ${why}` };
    this.#ports.lost(worker, problem, this.#stopped.has(worker) ? "stopped" : how);
  }

  #noteStopped(worker: Address): void {
    for (const old of this.#stopped) if (this.#stopped.size >= PAST_MAX) this.#stopped.delete(old);
    this.#stopped.add(worker);
  }
}

function remember<Of>(past: Map<Address, Of>, worker: Address, of: Of): void {
  past.delete(worker);
  for (const old of past.keys()) if (past.size >= PAST_MAX) past.delete(old);
  past.set(worker, of);
}
