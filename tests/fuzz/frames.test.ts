/** A short run of `bun run fuzz:frames`, with its seed in the names. */
import { expect, test } from "bun:test";
import { fuzz, GROWTH_MAX_BYTES } from "./one-parser.ts";
import { targets } from "./targets.ts";

const RUNS = 10_000;
const SEED = Number(process.env.SEED ?? 20_261_121);

for (const target of await targets()) {
  test(`${target.name}: no bytes make it do anything but take or refuse (again: SEED=${SEED} bun test tests/fuzz)`, () => {
    const { bug, runs, taken, grownBytes } = fuzz(target, SEED, RUNS);
    expect({ bug, runs, both: taken > 0 && taken < RUNS, flat: grownBytes < GROWTH_MAX_BYTES }).toEqual({
      bug: undefined,
      runs: RUNS,
      both: true,
      flat: true,
    });
  });
}
