/** Homes whose files were damaged: what the next start makes of each. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#actors/runtime/clock";
import { freshIdentity, type Identity } from "#actors/runtime/security/identity";
import { checkRecord } from "#actors/supervisor/cluster/admitting";
import { firstSnapshot, freshCluster } from "#actors/supervisor/cluster/genesis";
import type { ClusterRecord } from "#actors/supervisor/cluster/record";
import { authorityOf } from "#actors/supervisor/cluster/record";
import { Replica } from "#actors/supervisor/cluster/replica";
import { SqliteStore } from "#actors/supervisor/cluster/sqlite-store";
import { encodeCommand } from "#actors/supervisor/cluster/state";
import { nodeIdentity } from "#actors/supervisor/home/node-key";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";

/** What came of a start: the words of a Problem with a command that mends, "same" for all that was there, else what was believed. */
export type Fate = { readonly said: string } | "same" | { readonly believed: string };

export class DamagedHome implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "exo-damage-"));
  readonly identity: Identity;
  /** What a start reads of the whole file. */
  readonly #whole: unknown;
  readonly #path = join(this.folder, "cluster.db");
  readonly #database: Uint8Array;

  static async make(): Promise<DamagedHome> {
    const identity = freshIdentity();
    return new DamagedHome(identity, await freshCluster(identity, "studio", 0));
  }

  private constructor(identity: Identity, record: Awaited<ReturnType<typeof freshCluster>>) {
    this.identity = identity;
    const store = new SqliteStore(this.#path);
    store.begin(record, firstSnapshot(record, identity));
    store.saveVote(4, "b".repeat(52) as NodeId);
    for (let i = 0; i < 20; i++) {
      const command = encodeCommand({ type: "set", name: "color", value: `blue ${i} ${"x".repeat(100)}` });
      store.write(2 + i, [{ term: 4, command }]);
    }
    store.close();
    this.#database = new Uint8Array(readFileSync(this.#path));
    this.#whole = this.#read();
  }

  get bytes(): number {
    return this.#database.length;
  }

  /** The start after the file became `damage` of what it was. */
  after(damage: (whole: Uint8Array) => Uint8Array): Fate {
    return this.#fate(damage(this.#database.slice()));
  }

  /** The start after this machine's key became `damage` of what it was. */
  async afterKey(damage: (whole: Uint8Array) => Uint8Array): Promise<Fate> {
    const home = join(this.folder, "home");
    mkdirSync(join(home, "node"), { recursive: true, mode: 0o700 });
    const pem = new TextEncoder().encode(this.identity.pem);
    writeFileSync(join(home, "node", "key.pem"), damage(pem), { mode: 0o600 });
    try {
      const identity = await nodeIdentity(home);
      checkRecord((this.#whole as { record: ClusterRecord }).record, identity);
      return identity.node === this.identity.node ? "same" : { believed: identity.node };
    } catch (error) {
      return fateOf(error);
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true });
  }

  #fate(database: Uint8Array): Fate {
    for (const end of ["", "-journal"]) rmSync(`${this.#path}${end}`, { force: true });
    writeFileSync(this.#path, database);
    try {
      const found = this.#read();
      if (Bun.deepEquals(found, this.#whole)) return "same";
      return { believed: JSON.stringify(found) };
    } catch (error) {
      return fateOf(error);
    }
  }

  #read() {
    const store = new SqliteStore(this.#path);
    try {
      const record = store.loadRecord();
      if (!record) return undefined;
      checkRecord(record, this.identity);
      const log = store.load();
      const { state } = new Replica({
        self: this.identity.node,
        clock: systemClock,
        random: () => 0,
        store,
        authority: () => authorityOf(record),
        send: () => {},
        changed: () => {},
        failed: () => {},
        lied: () => {},
      });
      return { record, log, state };
    } finally {
      store.close();
    }
  }
}

const fateOf = (error: unknown): Fate =>
  error instanceof Problem && error.remedy?.includes("exo node reset-identity")
    ? { said: error.message }
    : { believed: String(error) };
