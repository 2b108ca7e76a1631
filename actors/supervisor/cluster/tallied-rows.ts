/**
 * Rows of a database that cannot go unnoticed. A checksum of each finds a flipped bit, not a row that is gone or is one of some writes
 * ago, as a disk leaves it that lost a write: a last row lists what was written, and is written with it.
 */
import type { Database } from "bun:sqlite";
import { decode, Encoder } from "@msgpack/msgpack";
import type { Problem } from "#protocol/problem";

export const ROWS_SCHEMA = `
  create table if not exists facts (name text primary key, bytes blob not null, checksum text not null) strict, without rowid;
  create table if not exists entries (position integer primary key, bytes blob not null, checksum text not null) strict;
`;

interface Row {
  readonly bytes: Uint8Array;
  readonly checksum: string;
}

type Place = Pick<Row, "checksum"> & { readonly position: number };

/** The checksum of each fact by its name, and one of all entries and their places, in no order: each can be added and taken out. */
interface Tally {
  readonly facts: Readonly<Record<string, string>>;
  readonly entries: string;
}

const TALLY = "tally";
/** In the file's header where a record was written. */
const HAS_RECORD = 1;
/** The same, and rows are listed. */
const LISTS_ROWS = 2;

export class TalliedRows {
  readonly #db: Database;
  readonly #damaged: (why: string) => Problem;
  readonly #encoder = new Encoder({ ignoreUndefined: true });
  /** As the last transaction left them; undefined until they were looked at. */
  #facts: Map<string, string> | undefined;
  #entries = 0n;

  constructor(db: Database, damaged: (why: string) => Problem) {
    this.#db = db;
    this.#damaged = damaged;
  }

  /** Whether a record was written once. */
  get isMarked(): boolean {
    return this.#mark() >= HAS_RECORD;
  }

  mark(): void {
    if (this.#mark() !== LISTS_ROWS) this.#db.run(`pragma user_version = ${LISTS_ROWS}`);
  }

  fact<T>(name: string): T | undefined {
    const row = this.#db.query<Row, [string]>("select bytes, checksum from facts where name = ?").get(name);
    return row ? this.#read<T>(row, name) : undefined;
  }

  /** All entries after `index`, in order. Throws Problem where one is missing. */
  entriesAfter<T>(index: number): readonly T[] {
    return this.#db
      .query<Row & Place, []>("select position, bytes, checksum from entries order by position")
      .all()
      .map((row, i) => {
        if (row.position !== index + 1 + i)
          throw this.#damaged(`entry ${index + 1 + i} of the log is missing`);
        return this.#read<T>(row, `entry ${row.position}`);
      });
  }

  /** Throws Problem where rows are gone, or are not those that were written last. */
  check(): void {
    const [facts, entries] = [this.#factsThere(), this.#entriesThere()];
    const told = this.fact<Tally>(TALLY);
    if (told) this.#compare(told, facts, entries);
    else if (this.#mark() === LISTS_ROWS) throw this.#damaged("the list of its rows is gone");
    [this.#facts, this.#entries] = [facts, entries];
  }

  /** All of the change or nothing of it, listed. Only in it may the methods below be called. */
  transaction(change: () => void): void {
    if (!this.#facts) this.check();
    const [facts, entries] = [new Map(this.#facts), this.#entries];
    try {
      this.#db.transaction(() => {
        change();
        if (this.isMarked) this.mark();
        this.#write(TALLY, {
          facts: Object.fromEntries(this.#facts ?? []),
          entries: this.#entries.toString(16),
        } satisfies Tally);
      })();
    } catch (error) {
      [this.#facts, this.#entries] = [facts, entries];
      throw error;
    }
  }

  put(name: string, value: unknown): void {
    this.#facts?.set(name, this.#write(name, value));
  }

  insert(position: number, entry: unknown): void {
    const bytes = this.#encoder.encode(entry);
    const row = { position, checksum: checksum(bytes) };
    this.#db
      .query("insert into entries (position, bytes, checksum) values (?, ?, ?)")
      .run(position, bytes, row.checksum);
    this.#count([row]);
  }

  /** Entries from `first` to `last`. */
  remove(first: number, last: number): void {
    this.#count(
      this.#db
        .query<Place, [number, number]>(
          "delete from entries where position between ? and ? returning position, checksum",
        )
        .all(first, last),
    );
  }

  #write(name: string, value: unknown): string {
    const bytes = this.#encoder.encode(value);
    const sum = checksum(bytes);
    this.#db
      .query("insert or replace into facts (name, bytes, checksum) values (?, ?, ?)")
      .run(name, bytes, sum);
    return sum;
  }

  #read<T>({ bytes, checksum: expected }: Row, what: string): T {
    if (checksum(bytes) !== expected) throw this.#damaged(`${what} does not match its checksum`);
    return decode(bytes) as T;
  }

  #compare(told: Tally, facts: ReadonlyMap<string, string>, entries: bigint): void {
    for (const name of new Set([...Object.keys(told.facts), ...facts.keys()])) {
      if (facts.get(name) === told.facts[name]) continue;
      const how = facts.has(name) ? "is not the one that was written last" : "is gone";
      throw this.#damaged(`its row "${name}" ${how}`);
    }
    if (entries.toString(16) !== told.entries)
      throw this.#damaged("entries of the log are gone, or are not those that were written last");
  }

  #factsThere(): Map<string, string> {
    const rows = this.#db
      .query<{ name: string; checksum: string }, [string]>("select name, checksum from facts where name <> ?")
      .all(TALLY);
    return new Map(rows.map((row) => [row.name, row.checksum]));
  }

  #entriesThere(): bigint {
    const rows = this.#db.query<Place, []>("select position, checksum from entries").all();
    return rows.reduce((sum, row) => sum ^ hashOf(row), 0n);
  }

  #count(rows: readonly Place[]): void {
    this.#entries = rows.reduce((sum, row) => sum ^ hashOf(row), this.#entries);
  }

  #mark(): number {
    return this.#db.query<{ user_version: number }, []>("pragma user_version").get()?.user_version ?? 0;
  }
}

const checksum = (bytes: Uint8Array): string => Bun.hash.xxHash64(bytes).toString(16);

const hashOf = ({ position, checksum: sum }: Place): bigint => Bun.hash.xxHash64(`${position} ${sum}`);
