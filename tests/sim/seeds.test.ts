/** A few seeds of `bun run sim`, each with how to see it again; and that a seed tells everything. */
import { expect, test } from "bun:test";
import { homeStorm } from "./home-storm.ts";
import { raftStorm } from "./raft-storm.ts";

const SEED = Number(process.env.SEED ?? 5);
const RUNS = 4;

for (let seed = SEED; seed < SEED + RUNS; seed++)
  test(`whole nodes keep what was confirmed, and agree after bad weather (again: bun run sim --world home --seed ${seed})`, async () => {
    const { violations, did } = await homeStorm(seed, 5);
    expect({ violations, did: did > 20 }).toEqual({ violations: [], did: true });
  });

for (const [world, storm] of Object.entries({ raft: raftStorm, home: homeStorm }))
  test(`one seed of the ${world} world is one history`, async () => {
    const [first, second] = [await storm(SEED, 3), await storm(SEED, 3)];
    expect(first).toEqual(second);
  });
