/** Writes votes and entries without an end, and says how many are written: `bun writer.ts FILE`, to be killed. */
import { SqliteStore } from "#actors/supervisor/cluster/sqlite-store";

const store = new SqliteStore(process.argv[2] ?? "");
store.write(1, []);
for (let count = 1; ; count++) {
  store.saveVote(count, undefined);
  store.write(count, [{ term: count, command: new Uint8Array(1000) }]);
  await Bun.write(Bun.stdout, `${count}\n`);
}
