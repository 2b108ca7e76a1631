import { Database } from "bun:sqlite";
import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ClusterId, NodeId } from "#protocol/ids";
import type { ClusterRecord } from "./record.ts";
import { SqliteStore } from "./sqlite-store.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function freshPath(): string {
  const folder = mkdtempSync(join(tmpdir(), "exo-store-"));
  folders.push(folder);
  return join(folder, "cluster.db");
}

const record: ClusterRecord = {
  cluster: "c" as ClusterId,
  clusterPem: "cluster",
  nodePem: "node",
  members: {
    cluster: "c" as ClusterId,
    version: 3,
    minimumMinor: 0,
    members: [],
    signature: new Uint8Array(64),
  },
  discoveryKeys: [{ number: 1, secret: new Uint8Array([1, 2, 3]) }],
  addresses: { n: ["10.0.0.1:52416"] },
};
const config = { voters: ["a" as NodeId], learners: [] };
const command = (byte: number) => ({ term: byte, command: new Uint8Array([byte]) });

describe("the cluster's file", () => {
  test("that is empty or gone where it had a record is damage, and no first start", () => {
    const path = freshPath();
    const said = (change: () => void) => {
      change();
      const store = new SqliteStore(path);
      try {
        return store.loadRecord() ? "a record" : "a first start";
      } catch (error) {
        return error instanceof Error ? error.message.replace(path, "it") : error;
      } finally {
        store.close();
      }
    };
    const emptied = "it is damaged: it is empty, and this machine was in a home before";
    expect([
      said(() => {}),
      said(() => {
        const store = new SqliteStore(path);
        store.begin(record);
        store.close();
      }),
      said(() => writeFileSync(path, "")),
      said(() => rmSync(path)),
    ]).toEqual(["a first start", "a record", emptied, emptied]);
  });

  test("gives back what was saved, to the next process as well, and to its owner alone", () => {
    const path = freshPath();
    const before = new SqliteStore(path);
    before.saveRecord(record);
    before.saveVote(4, "a" as NodeId);
    before.write(1, [command(1), command(2), command(3)]);
    before.write(3, [command(4)]);
    const snapshot = { index: 1, term: 1, config, state: new Uint8Array([9]) };
    before.compact(snapshot, true);
    before.close();
    const after = new SqliteStore(path);
    expect({
      record: after.loadRecord(),
      log: after.load(),
      mode: (statSync(path).mode & 0o777).toString(8),
    }).toEqual({
      record,
      log: { term: 4, votedFor: "a" as NodeId, snapshot, entries: [command(2), command(4)] },
      mode: "600",
    });
  });

  test("keeps the vote of a home that was left, for when this machine is let in again: it is the same voter", () => {
    const store = new SqliteStore(freshPath());
    const own = { ...record, cluster: "own" as ClusterId };
    const snapshot = { index: 1, term: 1, config, state: new Uint8Array() };
    const entered = (of: ClusterRecord, least = 0) => {
      store.begin(of, { ...snapshot, term: least });
      const { term, votedFor } = store.load();
      return { term, votedFor };
    };
    const first = entered(record);
    store.saveVote(4, "a" as NodeId);
    expect([first, entered(own, 1), entered(record), entered(own, 1), entered(record, 5)]).toEqual([
      { term: 0, votedFor: undefined },
      { term: 1, votedFor: undefined },
      { term: 4, votedFor: "a" as NodeId },
      { term: 1, votedFor: undefined },
      { term: 5, votedFor: undefined },
    ]);
    store.close();
  });

  test("refuses what was changed behind its back, and entries that are missing", () => {
    const problems = [
      "update facts set bytes = x'80'",
      "update entries set bytes = x'81'",
      "delete from entries where position = 1",
    ].map((damage) => {
      const path = freshPath();
      const store = new SqliteStore(path);
      store.saveRecord(record);
      store.write(1, [command(1), command(2)]);
      store.close();
      const raw = new Database(path);
      raw.run(damage);
      raw.close();
      const again = new SqliteStore(path);
      try {
        again.loadRecord();
        again.load();
        return "used";
      } catch (error) {
        return String((error as Error).message).replace(path, "FILE");
      }
    });
    expect(problems).toEqual([
      "FILE is damaged: record does not match its checksum",
      "FILE is damaged: entry 1 does not match its checksum",
      "FILE is damaged: entry 1 of the log is missing",
    ]);
  });

  test("refuses rows that are gone or are those of some writes ago, though each matches its checksum", () => {
    const path = freshPath();
    const store = new SqliteStore(path);
    store.begin(record);
    store.write(1, [command(1), command(2), command(3), command(4)]);
    store.compact({ index: 1, term: 1, config, state: new Uint8Array() }, true);
    store.saveVote(4, "a" as NodeId);
    store.close();
    const whole = readFileSync(path);
    const run = (sql: string) => {
      writeFileSync(path, whole);
      const raw = new Database(path);
      raw.run(sql);
      raw.close();
      const again = new SqliteStore(path);
      try {
        again.loadRecord();
        return again.load().entries.length;
      } catch (error) {
        return String((error as Error).message).replace(path, "FILE");
      } finally {
        again.close();
      }
    };
    const of = (name: string) => `select bytes, checksum from facts where name = '${name}'`;
    const log = "FILE is damaged: entries of the log are gone, or are not those that were written last";
    expect([
      run("select 1"),
      run("delete from facts where name = 'vote'"),
      run("delete from facts where name = 'snapshot'"),
      run("delete from facts where name = 'left'"),
      run("delete from facts where name = 'tally'"),
      run("delete from entries where position = 4"),
      run("delete from entries"),
      run(`update entries set (bytes, checksum) = (${of("vote")}) where position = 3`),
      run(`update facts set (bytes, checksum) = (${of("left")}) where name = 'vote'`),
      run("delete from facts where name = 'record'"),
    ]).toEqual([
      3,
      'FILE is damaged: its row "vote" is gone',
      "FILE is damaged: entry 1 of the log is missing",
      'FILE is damaged: its row "left" is gone',
      "FILE is damaged: the list of its rows is gone",
      log,
      log,
      log,
      'FILE is damaged: its row "vote" is not the one that was written last',
      "FILE is damaged: the record of its membership is gone",
    ]);
  });

  test("of an earlier exo, which listed no rows, is taken as it is, and listed from then on", () => {
    const path = freshPath();
    const store = new SqliteStore(path);
    store.begin(record);
    store.saveVote(3, "a" as NodeId);
    store.close();
    const damaged = (sql: string) => {
      const raw = new Database(path);
      raw.run(sql);
      raw.close();
    };
    damaged("delete from facts where name = 'tally'; pragma user_version = 1");
    const first = new SqliteStore(path);
    const { term } = first.load();
    first.saveVote(5, "a" as NodeId);
    first.close();
    damaged("delete from facts where name = 'vote'");
    const second = new SqliteStore(path);
    expect(term).toBe(3);
    expect(() => second.load()).toThrow('its row "vote" is gone');
    second.close();
  });

  test("belongs to one process at a time, and tells a full disk and a closed folder from damage", () => {
    const path = freshPath();
    const store = new SqliteStore(path);
    store.saveRecord(record);
    expect(() => new SqliteStore(path)).toThrow(
      "is in use: another exo of this home is the one that others know",
    );
    store.close();
    new SqliteStore(path).close();
    expect(() => new SqliteStore(join(path, "below", "cluster.db"))).toThrow(
      "could not be written (ENOTDIR)",
    );
  });

  test("refuses a file that is no database, and says what to do", async () => {
    const path = freshPath();
    await Bun.write(path, "not a database, but long enough to be one".repeat(100));
    expect(() => new SqliteStore(path)).toThrow("is damaged: file is not a database");
  });
});
