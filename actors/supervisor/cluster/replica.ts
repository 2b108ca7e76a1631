/** This node's copy of what the cluster agrees on, and the way to a change of it while this node leads. */
import type { Clock } from "#actors/runtime/clock";
import type { RaftStore } from "#actors/runtime/raft/log";
import { TAKEOVER } from "#actors/runtime/raft/ports";
import type { Epoch } from "#actors/runtime/raft/proposals";
import { Raft } from "#actors/runtime/raft/raft";
import type { Authority } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { RaftMessage } from "#protocol/raft";
import { lieIn, mayHaveTakenOver } from "./lies.ts";
import { applied, type ClusterState, decodeState, encodeState } from "./state.ts";

export interface ReplicaPorts {
  readonly self: NodeId;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly store: RaftStore;
  /** As the log wants it. */
  readonly since?: number | undefined;
  /** The cluster's newest key, as far as it is known here. */
  readonly authority: () => Authority;
  readonly send: (to: NodeId, message: RaftMessage) => void;
  /** The state, who leads, who votes, or how much is final is another. */
  readonly changed: () => void;
  /** The log cannot be kept: the disk is full or gone. Nothing is decided here until it can. */
  readonly failed: (error: unknown) => void;
  /** A member said what cannot be; it was passed over. */
  readonly lied: (from: NodeId, why: string) => void;
}

/** Refusals whose proposers may still ask. */
const REFUSALS_KEPT = 64;
/** A disk that was full is looked at again so often. */
const AGAIN_MS = 10_000;

export class Replica {
  readonly raft: Raft;
  readonly #ports: ReplicaPorts;
  readonly #refusals = new Map<number, Problem>();
  #state: ClusterState | undefined;
  #snapshotNumber = 0;
  #telling = false;
  #isStopped = false;
  /** The store failed; nothing is decided here until it works again. */
  #hasFailed = false;
  #cancelAgain = () => {};

  /** Throws Problem when what the store holds is damaged. */
  constructor(ports: ReplicaPorts) {
    this.#ports = ports;
    const { clock, random, store, send, since } = ports;
    this.raft = new Raft(ports.self, {
      clock: this.#watched(clock),
      random,
      store,
      since,
      send,
      changed: () => this.#tell(),
      state: {
        apply: (command, { index }) => this.#apply(command, index),
        passed: () => this.#tell(),
        snapshot: () => {
          this.#snapshotNumber = this.#known().authority.number;
          return encodeState(this.#known());
        },
        // Few of the keys before are kept: who is sent the state must know its key by those.
        hasTurned: () => this.#known().authority.number !== this.#snapshotNumber,
        restore: (bytes) => {
          this.#state = decodeState(bytes, ports.authority());
          this.#snapshotNumber = this.#state.authority.number;
          this.#tell();
        },
      },
    });
  }

  /** How many takeovers came before the state: each begins a history of its own. */
  get history(): number {
    return Math.floor(this.raft.committed / TAKEOVER);
  }

  /** Undefined until a new member has been sent the state. */
  get state(): ClusterState | undefined {
    return this.#state;
  }

  get leads(): boolean {
    return this.raft.role === "leader";
  }

  /** Resolves when a majority holds the command and it was right; throws Problem, `notLeading` where this node does not lead. */
  async propose(command: Uint8Array): Promise<Epoch> {
    if (!this.leads) throw notLeading();
    // A command that is wrong already need not cost a majority.
    applied(this.#known(), command);
    const epoch = await this.raft.propose(command);
    const refusal = this.#refusals.get(epoch.index);
    if (refusal) throw refusal;
    return epoch;
  }

  /** Resolves once a majority said that this node leads, and its state is what was agreed before; throws Problem, `notLeading` where not. */
  async confirm(): Promise<Epoch> {
    if (!this.leads) throw notLeading();
    try {
      return await this.raft.propose();
    } catch (error) {
      // Nothing was to be changed: who leads now may be asked instead.
      throw this.leads ? error : notLeading();
    }
  }

  start(): void {
    this.#guarded(() => this.raft.start());
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelAgain();
    this.raft.stop();
  }

  receive(from: NodeId, message: RaftMessage): void {
    if (this.#hasFailed) return;
    const { authority, lied } = this.#ports;
    const { term, committed, config } = this.raft;
    const votes = config.voters.includes(from);
    const why = lieIn(message, { authority: authority(), term, lastIndex: committed, votes });
    if (why === undefined) this.#guarded(() => this.raft.receive(from, message));
    else if (!mayHaveTakenOver(message, term)) lied(from, `${message.type}: ${why}`);
  }

  #known(): ClusterState {
    if (this.#state) return this.#state;
    throw new Problem("unavailable", "this machine has not heard the cluster's state yet");
  }

  #apply(command: Uint8Array, index: number): void {
    try {
      this.#state = applied(this.#known(), command, index);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.#refusals.set(index, error);
      for (const old of this.#refusals.keys())
        if (this.#refusals.size > REFUSALS_KEPT) this.#refusals.delete(old);
    }
    this.#tell();
  }

  /** Soon, and once for all entries that come together: what lies between them was never so for anybody. */
  #tell(): void {
    if (this.#telling) return;
    this.#telling = true;
    queueMicrotask(() => {
      this.#telling = false;
      if (!this.#isStopped) this.#ports.changed();
    });
  }

  /** What the log's own timers throw is the store's failure. */
  #watched(clock: Clock): Clock {
    return { ...clock, after: (ms, run) => clock.after(ms, () => this.#guarded(run)) };
  }

  #guarded(run: () => void): void {
    try {
      run();
      this.#hasFailed = false;
    } catch (error) {
      this.raft.stop();
      if (!this.#hasFailed) this.#ports.failed(error);
      this.#hasFailed = true;
      this.#cancelAgain();
      // What could not be kept was promised to nobody: it goes on as after a restart.
      this.#cancelAgain = this.#ports.clock.after(AGAIN_MS, () => this.start());
    }
  }
}

const [NOT_LEADING, OUTDATED] = ["leader", "seen"];
export const notLeading = (): Problem =>
  new Problem("unavailable", "this machine does not lead the cluster now", { param: NOT_LEADING });
/** The list of machines is another than who asks knows. */
export const outdated = (): Problem =>
  new Problem("unavailable", "the home's list of machines changed meanwhile", { param: OUTDATED });
export const isOutdated = (error: unknown): boolean =>
  error instanceof Problem && error.kind === "unavailable" && error.param === OUTDATED;
export const isNotLeading = (error: unknown): boolean =>
  error instanceof Problem && error.kind === "unavailable" && error.param === NOT_LEADING;
