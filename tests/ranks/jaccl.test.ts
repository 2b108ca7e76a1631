/**
 * Ranks of Macs, as far as a Linux machine goes: the devices that the planner finds for them, MLX's own jaccl by mlx-c, and under it a
 * verbs provider without a device. Skipped where that is not built: `bun run jaccl`.
 */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jacclOf } from "#actors/planner/backends";
import { freePorts } from "../cluster/processes.ts";
import { type Cable, FOUR, macs, THREE, TWO } from "../planner/macs.ts";
import { isBuilt, jacclEnvironment, jacclFolder } from "./jaccl/build.ts";
import type { RankArguments } from "./rank-process.ts";
import { type RankEnd, startRanks } from "./ranks.ts";

const SLOWEST_MS = 120_000;
const NAMES = ["ada", "bob", "cleo", "dan"];
const ROWS = [1, 8, 9, 300];

interface Mesh {
  readonly cables: readonly Cable[];
  readonly ranks: number;
  readonly change?: (rank: number) => Partial<RankArguments>;
  /** Devices are those of another rank. */
  readonly mixed?: boolean;
}

/** Ranks on these cables, each with the devices that its machine has. */
async function mesh<T>(
  { cables, ranks, change = () => ({}), mixed = false }: Mesh,
  work: (started: ReturnType<typeof startRanks>) => Promise<T>,
): Promise<T> {
  const home = macs(NAMES.slice(0, ranks), cables);
  const found = jacclOf(home)?.map(({ devices }) => devices) ?? [];
  const devices = mixed
    ? found.map((row) => row.map((device) => device && found[1]?.[0]) as (string | null)[])
    : found;
  const shared = mkdtempSync(join(tmpdir(), "exo-verbs-"));
  const [port = 0] = freePorts(1);
  const started = home.flatMap(({ facts: { thunderbolt = [] } }, rank) => {
    const own = thunderbolt.map(({ rdmaDevice }, at) => `${rdmaDevice}=${cableAt(cables, rank, at)}`);
    const way = { backend: "jaccl" as const, devices, host: "127.0.0.1" };
    const asked = { rank, world: ranks, patienceMs: SLOWEST_MS, port, way, rows: ROWS, silent: false };
    return startRanks([{ ...asked, ...change(rank) }], {
      ...jacclEnvironment(jacclFolder()),
      EXO_FAKE_VERBS: shared,
      EXO_FAKE_DEVICES: own.join(" "),
    });
  });
  return await work(started).finally(() => rmSync(shared, { recursive: true }));
}

/** The number of the cable at that port. */
const cableAt = (cables: readonly Cable[], machine: number, port: number): number =>
  cables.flatMap((ends, cable) => (ends.includes(machine) ? [cable + 1] : []))[port] ?? 0;

const ended = (started: ReturnType<typeof startRanks>): Promise<RankEnd[]> =>
  Promise.all(started.map(({ end }) => end));

test.skipIf(!isBuilt()).each([
  [2, TWO],
  [3, THREE],
  [4, FOUR],
] as const)(
  "%d ranks have the same sums to the bit, and what each has side by side",
  async (ranks, cables) => {
    const ends = await mesh({ cables, ranks }, ended);
    expect(ends.map(({ code, lastWords }) => [code, lastWords])).toEqual(
      ends.map(() => [0, expect.any(String)]),
    );
    const said = ends.map(({ lines }) => lines.map((line) => JSON.parse(line)));
    expect(said[0]?.map(({ count, shape, places, off }) => [count, shape, places, off < 1e-6])).toEqual(
      ROWS.map((count) => [count, [1, count, ranks * 96], true, true]),
    );
    for (const other of said)
      expect(other.map(({ hash }) => hash)).toEqual(said[0]?.map(({ hash }) => hash) ?? []);
  },
  SLOWEST_MS,
);

test.skipIf(!isBuilt())(
  "a device on the wrong cable is refused when ranks meet, and a rank that never answers ends who waits",
  async () => {
    const wrong = await mesh(
      { cables: THREE, ranks: 3, mixed: true, change: () => ({ patienceMs: 20_000 }) },
      ended,
    );
    const silent = (rank: number) => (rank === 1 ? { silent: true } : { patienceMs: 5_000 });
    const hung = await mesh({ cables: TWO, ranks: 2, change: silent }, async ([waiting, other]) => {
      const end = await waiting?.end;
      other?.kill();
      await other?.end;
      return end;
    });
    expect([wrong.some(({ code }) => code === 0), hung?.code, hung?.lastWords]).toEqual([
      false,
      75,
      "rank 0 of 2 waited 5 s for the sums of the others",
    ]);
  },
  SLOWEST_MS,
);
