/** Ranks that MLX adds up for, by the backend of it that needs no devices: its ring, on this machine's loopback. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "../cluster/processes.ts";
import type { RankArguments } from "./rank-process.ts";
import { startRanks } from "./ranks.ts";

/** Processes that open the library on a machine that has much else to do. */
const SLOWEST_MS = 120_000;

async function ring<T>(
  change: readonly Partial<RankArguments>[],
  work: (all: RankArguments[]) => Promise<T>,
) {
  const folder = mkdtempSync(join(tmpdir(), "exo-ring-"));
  const hosts = freePorts(change.length).map((port) => [`127.0.0.1:${port}`]);
  const file = join(folder, "hosts.json");
  writeFileSync(file, JSON.stringify(hosts));
  const way = { backend: "jaccl" as const, devices: [], host: "127.0.0.1" };
  const all = change.map((each, rank) => ({
    ...{ rank, world: change.length, patienceMs: SLOWEST_MS, port: 1, ring: file, way, rows: [1, 8, 9, 300] },
    ...{ silent: false, ...each },
  }));
  return await work(all).finally(() => rmSync(folder, { recursive: true }));
}

test(
  "three ranks have the same sums, and what each has side by side, waited for at once or left to MLX",
  async () => {
    const ends = await ring(
      [{}, {}, {}],
      async (all) => await Promise.all(startRanks(all).map(({ end }) => end)),
    );
    const said = ends.map(({ lines }) => lines.map((line) => JSON.parse(line)));
    const [first = []] = said;
    expect(ends.map(({ code, lastWords }) => [code, lastWords])).toEqual([0, 1, 2].map(() => [0, ""]));
    expect(first.map(({ count, shape, places }) => [count, shape, places])).toEqual(
      [1, 8, 9, 300].map((count) => [count, [1, count, 3 * 96], true]),
    );
    expect(first.every(({ off }) => off < 1e-6)).toBe(true);
    for (const other of said) expect(other.map(({ hash }) => hash)).toEqual(first.map(({ hash }) => hash));
  },
  SLOWEST_MS,
);

test(
  "a rank that waits for one that never answers ends itself, and says what it waited for",
  async () => {
    const [hung] = await ring([{ patienceMs: 300 }, { silent: true }], async (all) => {
      const [waiting, silent] = startRanks(all);
      const end = await waiting?.end;
      silent?.kill();
      return [end];
    });
    expect([hung?.code, hung?.lastWords]).toEqual([
      75,
      "rank 0 of 2 waited 0.3 s for the sums of the others",
    ]);
  },
  SLOWEST_MS,
);
