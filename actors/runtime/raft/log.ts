/** A node's part of the replicated log: what the store holds, in memory, and the rules for changing both together. */
import type { NodeId } from "#protocol/ids";
import type { RaftConfig, RaftEntry, RaftSnapshot } from "#protocol/raft";

/** What must survive a crash. */
export interface Persisted {
  readonly term: number;
  readonly votedFor?: NodeId;
  readonly snapshot: RaftSnapshot;
  /** Entries after the snapshot's, in order. */
  readonly entries: readonly RaftEntry[];
}

/** Where a log lies. Every call is durable when it returns, and throws if it could not be made so. */
export interface RaftStore {
  load(): Persisted;
  saveVote(term: number, votedFor: NodeId | undefined): void;
  /** Replaces everything from `index` on by these entries. */
  write(index: number, entries: readonly RaftEntry[]): void;
  /** Forgets the entries that the snapshot covers, and any that do not follow it. */
  compact(snapshot: RaftSnapshot, keepAfter: boolean): void;
}

export class RaftLog {
  readonly #store: RaftStore;
  #snapshot: RaftSnapshot;
  #entries: RaftEntry[];
  /** The configuration in force, while it is known. */
  #config: RaftConfig | undefined;

  constructor(store: RaftStore, persisted: Persisted) {
    this.#store = store;
    this.#snapshot = persisted.snapshot;
    this.#entries = [...persisted.entries];
  }

  get snapshot(): RaftSnapshot {
    return this.#snapshot;
  }

  /** Entries that no snapshot covers yet. */
  get length(): number {
    return this.#entries.length;
  }

  get lastIndex(): number {
    return this.#snapshot.index + this.#entries.length;
  }

  get lastTerm(): number {
    return this.termAt(this.lastIndex) ?? this.#snapshot.term;
  }

  /** The term of an entry; undefined when it is not held: covered by the snapshot, or not there yet. */
  termAt(index: number): number | undefined {
    return index === this.#snapshot.index ? this.#snapshot.term : this.entry(index)?.term;
  }

  entry(index: number): RaftEntry | undefined {
    return this.#entries[index - this.#snapshot.index - 1];
  }

  from(index: number, count: number): RaftEntry[] {
    const at = index - this.#snapshot.index - 1;
    return this.#entries.slice(at, at + count);
  }

  /** The configuration in force: the last one in the log, committed or not. */
  get config(): RaftConfig {
    this.#config ??= this.configAt(this.lastIndex);
    return this.#config;
  }

  /** The configuration that was in force once entry `index` lay in the log. */
  configAt(index: number): RaftConfig {
    for (let at = Math.min(index - this.#snapshot.index, this.#entries.length) - 1; at >= 0; at--) {
      const config = this.#entries[at]?.config;
      if (config) return config;
    }
    return this.#snapshot.config;
  }

  append(entry: RaftEntry): void {
    this.#store.write(this.lastIndex + 1, [entry]);
    this.#entries.push(entry);
    this.#config = undefined;
  }

  /** Takes a leader's entries after `prevIndex`; what conflicts is replaced, what is there already is left. */
  take(prevIndex: number, entries: readonly RaftEntry[]): void {
    const fresh = entries.findIndex(
      (entry, i) => this.termAt(prevIndex + 1 + i) !== entry.term && prevIndex + 1 + i > this.#snapshot.index,
    );
    if (fresh < 0) return;
    const index = prevIndex + 1 + fresh;
    const added = entries.slice(fresh);
    this.#store.write(index, added);
    this.#entries.splice(index - this.#snapshot.index - 1, Number.POSITIVE_INFINITY, ...added);
    this.#config = undefined;
  }

  /** Covers entries up to the snapshot's; those after it stay if the log holds the snapshot's own entry. */
  compact(snapshot: RaftSnapshot): void {
    const keep = this.termAt(snapshot.index) === snapshot.term;
    const after = keep ? this.from(snapshot.index + 1, Number.MAX_SAFE_INTEGER) : [];
    this.#store.compact(snapshot, keep);
    this.#entries = after;
    this.#snapshot = snapshot;
    this.#config = undefined;
  }
}
