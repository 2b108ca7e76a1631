/** Runs one parser on many bytes of one seed, and says what it did. */
import { seeded } from "../sim/random.ts";
import { mutated } from "./mutate.ts";
import type { Target } from "./targets.ts";

export interface Outcome {
  readonly name: string;
  readonly seed: number;
  readonly runs: number;
  readonly taken: number;
  /** The first bytes that it fell over, in hex, with what it said. */
  readonly bug?: string;
  /** Growth of the process's memory after the first tenth. */
  readonly grownBytes: number;
}

/** Room for what the collector has not collected yet. */
export const GROWTH_MAX_BYTES = 96 * 1024 * 1024;

export function fuzz({ name, seeds, takes }: Target, seed: number, runs: number): Outcome {
  const random = seeded(seed);
  let taken = 0;
  let startBytes = 0;
  for (let run = 0; run < runs; run++) {
    if (run === Math.floor(runs / 10)) startBytes = settledBytes();
    const bytes = mutated(seeds, random);
    const given = bytes.slice();
    try {
      if (takes(bytes)) taken += 1;
    } catch (error) {
      return { name, seed, runs: run + 1, taken, bug: `${given.toHex()}: ${String(error)}`, grownBytes: 0 };
    }
  }
  return { name, seed, runs, taken, grownBytes: settledBytes() - startBytes };
}

function settledBytes(): number {
  Bun.gc(true);
  return process.memoryUsage.rss();
}
