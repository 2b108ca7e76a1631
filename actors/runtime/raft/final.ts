/** Which entries of the log are final, and the state that follows from them. */
import type { RaftConfig, RaftSnapshot } from "#protocol/raft";
import type { RaftLog } from "./log.ts";
import { TAKEOVER } from "./ports.ts";
import type { Epoch, Proposals } from "./proposals.ts";

/** The state that final commands build. */
export interface Replicated {
  /** Final commands in order; again from the last snapshot after a restart. */
  readonly apply: (command: Uint8Array, epoch: Epoch) => void;
  /** An entry without a command is final: who waits for that hears of it. */
  readonly passed?: () => void;
  /** The whole state after everything applied so far, and its replacement by another's. */
  readonly snapshot: () => Uint8Array;
  readonly restore: (state: Uint8Array) => void;
  /** Whether others could not follow from the last snapshot to what is so now: then there is a new one at once. */
  readonly hasTurned?: () => boolean;
}

/** Entries that are replayed at a start; more are folded into a snapshot. */
const COMPACT_AFTER = 512;

export class Final {
  readonly #log: RaftLog;
  readonly #state: Replicated;
  readonly #proposals: Proposals;
  #index: number;

  constructor(log: RaftLog, state: Replicated, proposals: Proposals) {
    this.#log = log;
    this.#state = state;
    this.#proposals = proposals;
    this.#index = log.snapshot.index;
    if (this.#index > 0) state.restore(log.snapshot.state);
  }

  /** The last entry that is known to be final, and applied. */
  get index(): number {
    return this.#index;
  }

  get config(): RaftConfig {
    return this.#log.configAt(this.#index);
  }

  /** Everything up to `index` is final from now on. */
  advance(index: number): void {
    while (this.#index < index) {
      this.#index += 1;
      this.#apply(this.#index);
    }
    if (this.#log.length > COMPACT_AFTER || this.#state.hasTurned?.()) this.#compact();
  }

  /** Takes a leader's state in place of the entries that led to it. */
  install(snapshot: RaftSnapshot): void {
    this.#log.compact(snapshot);
    this.#state.restore(snapshot.state);
    this.#index = snapshot.index;
  }

  /** Begins a history that nobody else has: the state after all that the log holds, far above where any other may be. */
  restart(term: number, config: RaftConfig): void {
    this.advance(this.#log.lastIndex);
    this.install({ index: this.#index + TAKEOVER, term, config, state: this.#state.snapshot() });
  }

  #apply(index: number): void {
    const entry = this.#log.entry(index);
    if (!entry) throw new Error(`entry ${index} is final but not in the log`);
    const epoch = { term: entry.term, index };
    if (entry.command) this.#state.apply(entry.command, epoch);
    else this.#state.passed?.();
    this.#proposals.settle(epoch);
  }

  #compact(): void {
    const index = this.#index;
    const term = this.#log.termAt(index);
    if (term === undefined || index === this.#log.snapshot.index) return;
    this.#log.compact({ index, term, config: this.config, state: this.#state.snapshot() });
  }
}
