/**
 * The cluster's record and this node's part of the replicated log, in one SQLite file. Rows carry checksums and are listed:
 * SQLite notices a torn write, not a flipped bit or a lost one (https://www.sqlite.org/atomiccommit.html, section 5).
 */
import { Database } from "bun:sqlite";
import { chmodSync, closeSync, existsSync, openSync, statSync } from "node:fs";
import type { Persisted, RaftStore } from "#actors/runtime/raft/log";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { RaftEntry, RaftSnapshot } from "#protocol/raft";
import { homeProblem } from "../home/home-problem.ts";
import { type LeftVote, type Vote, votesAfterMove } from "./left-votes.ts";
import { BEGIN_ANEW, type ClusterRecord, type ClusterStore } from "./record.ts";
import { ROWS_SCHEMA, TalliedRows } from "./tallied-rows.ts";

/** A file beside the database once it holds a record: one that is lost, or empty again, is then no first start either. */
const BEGUN = ".begun";
/** The smallest page of SQLite (https://www.sqlite.org/fileformat.html, section 1.3.2). */
const PAGE_BYTES_MIN = 512;
/** Another process that ends just now lets go within this. */
const BUSY_MS = 1000;

/** No log is as long. */
const LAST = Number.MAX_SAFE_INTEGER;

const NO_SNAPSHOT: RaftSnapshot = {
  index: 0,
  term: 0,
  config: { voters: [], learners: [] },
  state: new Uint8Array(),
};

export class SqliteStore implements ClusterStore, RaftStore {
  readonly #path: string;
  readonly #db: Database;
  readonly #rows: TalliedRows;

  /** Throws Problem when the file is no database, cannot be opened, or is another process's (`unavailable`). */
  constructor(path: string) {
    this.#path = path;
    let opened: Database | undefined;
    try {
      closeSync(openSync(path, "a", 0o600));
      chmodSync(path, 0o600);
      const { size } = statSync(path);
      if (size > 0 && size < PAGE_BYTES_MIN) throw new Error(`it ends after ${size} bytes`); // SQLite would begin anew.
      opened = new Database(path, { strict: true });
      prepare(opened);
      this.#db = opened;
      this.#rows = new TalliedRows(opened, (why) => this.#damaged(why));
    } catch (error) {
      opened?.close();
      if (isBusy(error)) throw inUse(path);
      const closed = unwritten(path, error);
      if (closed instanceof Problem) throw closed;
      throw this.#damaged(error instanceof Error ? error.message : String(error));
    }
  }

  close(): void {
    this.#db.close();
  }

  loadRecord(): ClusterRecord | undefined {
    const record = this.#reading(() => this.#rows.fact<ClusterRecord>("record"));
    if (record) this.#noteBegun();
    else if (this.#rows.isMarked) throw this.#damaged("the record of its membership is gone");
    else if (existsSync(this.#path + BEGUN))
      throw this.#damaged("it is empty, and this machine was in a home before");
    return record;
  }

  /** After the record is on the disk: a mark without one would keep a machine from its first start. */
  #noteBegun(): void {
    try {
      closeSync(openSync(this.#path + BEGUN, "a", 0o600));
    } catch {
      // A disk without room for it: said when something is to be kept, and noted at the next start.
    }
  }

  saveRecord(record: ClusterRecord): void {
    this.#write(() => this.#rows.put("record", record));
  }

  begin(record: ClusterRecord, snapshot: RaftSnapshot = NO_SNAPSHOT): void {
    const before = this.#rows.fact<ClusterRecord>("record");
    const { vote, left } = votesAfterMove(
      this.#rows.fact<readonly LeftVote[]>("left") ?? [],
      before && { cluster: before.cluster, ...(this.#rows.fact<Vote>("vote") ?? { term: 0 }) },
      { cluster: record.cluster, least: snapshot.term },
    );
    this.#write(() => {
      this.#rows.put("record", record);
      this.#rows.mark();
      this.#rows.put("vote", vote);
      this.#rows.put("left", left);
      this.#rows.put("snapshot", snapshot);
      this.#rows.remove(0, LAST);
    });
    this.#noteBegun();
  }

  load(): Persisted {
    return this.#reading(() => this.#load());
  }

  #load(): Persisted {
    const { term, votedFor }: Vote = this.#rows.fact<Vote>("vote") ?? { term: 0 };
    const snapshot = this.#rows.fact<RaftSnapshot>("snapshot") ?? NO_SNAPSHOT;
    const entries = this.#rows.entriesAfter<RaftEntry>(snapshot.index);
    this.#rows.check();
    return { term, snapshot, entries, ...(votedFor !== undefined && { votedFor }) };
  }

  saveVote(term: number, votedFor: NodeId | undefined): void {
    this.#write(() => this.#rows.put("vote", { term, votedFor }));
  }

  write(index: number, entries: readonly RaftEntry[]): void {
    this.#write(() => {
      this.#rows.remove(index, LAST);
      entries.forEach((entry, i) => void this.#rows.insert(index + i, entry));
    });
  }

  compact(snapshot: RaftSnapshot, keepAfter: boolean): void {
    this.#write(() => {
      this.#rows.put("snapshot", snapshot);
      this.#rows.remove(0, keepAfter ? snapshot.index : LAST);
    });
  }

  /** All of it or nothing. Throws Problem where the disk is full or closed. */
  #write(change: () => void): void {
    try {
      this.#rows.transaction(change);
    } catch (error) {
      throw unwritten(this.#path, error);
    }
  }

  /** What SQLite cannot read is damaged as well. */
  #reading<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (error instanceof Problem) throw error;
      throw this.#damaged(error instanceof Error ? error.message : String(error));
    }
  }

  #damaged(why: string): Problem {
    return new Problem("invalid", `${this.#path} is damaged: ${why}`, { remedy: BEGIN_ANEW });
  }
}

function prepare(db: Database): void {
  db.run(`pragma busy_timeout = ${BUSY_MS}`);
  // Two processes that both were this node would vote twice: the lock is held until this one ends, however it ends.
  db.run("pragma locking_mode = exclusive");
  // Not a write-ahead log: where one is damaged, SQLite takes what follows for never written, a vote that was given included.
  db.run("pragma journal_mode = truncate");
  db.run("pragma synchronous = full");
  // What is replaced may be a key: it is not left in free pages.
  db.run("pragma secure_delete = on");
  db.run(`begin exclusive; ${ROWS_SCHEMA} commit`);
}

const isBusy = (error: unknown): boolean =>
  error instanceof Error && "code" in error && String(error.code).startsWith("SQLITE_BUSY");

const unwritten = (path: string, error: unknown): unknown =>
  homeProblem(error, `${path}, which says what home this machine belongs to, could not be written`);

const inUse = (path: string): Problem =>
  new Problem("unavailable", `${path} is in use: another exo of this home is the one that others know`, {
    remedy: "end that one, or give this one a home of its own (EXO_HOME)",
  });
