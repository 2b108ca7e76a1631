/** Disks that survive the process on them, and tell when a node breaks its word; one of them is the real store on real files. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Persisted, RaftStore } from "#actors/runtime/raft/log";
import { type LeftVote, type Vote, votesAfterMove } from "#actors/supervisor/cluster/left-votes";
import type { ClusterRecord, ClusterStore } from "#actors/supervisor/cluster/record";
import { SqliteStore } from "#actors/supervisor/cluster/sqlite-store";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { RaftEntry, RaftSnapshot } from "#protocol/raft";

const NONE: RaftSnapshot = {
  index: 0,
  term: 0,
  config: { voters: [], learners: [] },
  state: new Uint8Array(),
};

/** What is told of a disk while it works. */
export interface DiskWatch {
  /** The term of an entry that some majority holds; undefined for one that nobody knows to be final. */
  readonly finalTerm: (index: number) => number | undefined;
  readonly fault: (why: string) => void;
  /** Something is written and synced: a slow disk holds its process up. */
  readonly synced: () => void;
}

export class MemoryDisk implements ClusterStore, RaftStore {
  record: ClusterRecord | undefined;
  watch: DiskWatch | undefined;
  isFull = false;
  #vote: Vote = { term: 0 };
  #left: readonly LeftVote[] = [];
  #snapshot: RaftSnapshot = NONE;
  #entries: readonly RaftEntry[] = [];

  loadRecord(): ClusterRecord | undefined {
    return this.record;
  }

  saveRecord(record: ClusterRecord): void {
    this.#refuse();
    this.record = { ...record };
  }

  begin(record: ClusterRecord, snapshot: RaftSnapshot = NONE): void {
    this.#refuse();
    const before = this.record && { cluster: this.record.cluster, ...this.#vote };
    const to = { cluster: record.cluster, least: snapshot.term };
    this.record = { ...record };
    ({ vote: this.#vote, left: this.#left } = votesAfterMove(this.#left, before, to));
    this.#snapshot = snapshot;
    this.#entries = [];
  }

  load(): Persisted {
    const { term, votedFor } = this.#vote;
    return { term, ...(votedFor && { votedFor }), snapshot: this.#snapshot, entries: this.#entries };
  }

  saveVote(term: number, votedFor: NodeId | undefined): void {
    this.#refuse();
    if (term < this.#vote.term) this.watch?.fault(`a term went back from ${this.#vote.term} to ${term}`);
    this.#vote = { term, ...(votedFor && { votedFor }) };
    this.watch?.synced();
  }

  write(index: number, entries: readonly RaftEntry[]): void {
    this.#refuse();
    const last = this.#snapshot.index + this.#entries.length;
    for (let at = index; at <= last; at++) {
      const held = this.#entries[at - this.#snapshot.index - 1]?.term;
      const final = held === undefined ? undefined : this.watch?.finalTerm(at);
      if (final !== undefined && held === final && entries[at - index]?.term !== final)
        this.watch?.fault(`entry ${at} is final, and gives way to another`);
    }
    this.#entries = [...this.#entries.slice(0, index - this.#snapshot.index - 1), ...entries];
    this.watch?.synced();
  }

  compact(snapshot: RaftSnapshot, keepAfter: boolean): void {
    this.#refuse();
    this.#entries = keepAfter ? this.#entries.slice(snapshot.index - this.#snapshot.index) : [];
    this.#snapshot = snapshot;
  }

  close(): void {}

  #refuse(): void {
    if (this.isFull) throw new Problem("doesNotFit", "the disk is full", { remedy: "free some space" });
  }
}

/** Most of a file is of no account, or SQLite's own: one in a few changes what an entry says. */
const DAMAGES = 8;

/** A folder in memory where the system has one: what a sync costs on a real disk is no question here. */
const SHARED_MEMORY = "/dev/shm";
const FOLDER = existsSync(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir();

/** The store of production on a file, with a copy in memory that says what the file must hold. */
export class FileDisk extends MemoryDisk {
  readonly #folder = mkdtempSync(join(FOLDER, "exo-sim-"));
  readonly #path = join(this.#folder, "cluster.db");
  #store: SqliteStore | undefined;

  override loadRecord(): ClusterRecord | undefined {
    return this.#open.loadRecord();
  }

  override saveRecord(record: ClusterRecord): void {
    super.saveRecord(record);
    this.#open.saveRecord(record);
  }

  override begin(record: ClusterRecord, snapshot?: RaftSnapshot): void {
    super.begin(record, snapshot);
    this.#open.begin(record, snapshot);
  }

  override load(): Persisted {
    return this.#open.load();
  }

  override saveVote(term: number, votedFor: NodeId | undefined): void {
    this.#open.saveVote(term, votedFor);
    super.saveVote(term, votedFor);
  }

  override write(index: number, entries: readonly RaftEntry[]): void {
    this.#open.write(index, entries);
    super.write(index, entries);
  }

  override compact(snapshot: RaftSnapshot, keepAfter: boolean): void {
    this.#open.compact(snapshot, keepAfter);
    super.compact(snapshot, keepAfter);
  }

  override close(): void {
    this.#store?.close();
    this.#store = undefined;
  }

  remove(): void {
    this.close();
    rmSync(this.#folder, { recursive: true });
  }

  /**
   * The process is gone and the file is not as it was left: bits are others, or its end is. True when the store finds out; what it does not
   * find out must be of no account, and neither of any of some more ways that it might have been damaged.
   */
  damage(random: () => number): boolean {
    this.close();
    const whole = readFileSync(this.#path);
    const isFound = Array.from({ length: DAMAGES }, () => this.#isFound(whole, random));
    return isFound[0] ?? false;
  }

  #isFound(whole: Buffer, random: () => number): boolean {
    const hurt = Buffer.from(whole);
    const at = () => Math.floor(random() * whole.length);
    const kept = at();
    if (random() < 0.3) writeFileSync(this.#path, whole.subarray(0, kept));
    else {
      for (let bits = 1 + Math.floor(random() * 3); bits > 0; bits--) {
        const place = at();
        hurt[place] = (hurt[place] ?? 0) ^ (1 << Math.floor(random() * 8));
      }
      writeFileSync(this.#path, hurt);
    }
    try {
      const record = this.#open.loadRecord();
      const log = this.#open.load();
      if (!Bun.deepEquals(log, super.load()) || !Bun.deepEquals(record, super.loadRecord()))
        this.watch?.fault("a damaged store is used as if it were whole");
      return false;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return true;
    } finally {
      this.close();
      writeFileSync(this.#path, whole);
    }
  }

  get #open(): SqliteStore {
    this.#store ??= new SqliteStore(this.#path);
    return this.#store;
  }
}
