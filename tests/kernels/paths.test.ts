/** The parity suites and the kernels' own tests, on the instruction sets that the other tests of this run do not use. */
import { expect, test } from "bun:test";
import { testsOn, usableSets } from "./paths.ts";

/** Per set, on a busy machine; alone it takes about ten seconds. */
const SLOWEST_MS = 120_000;
const [, ...others] = await usableSets();
/** All of it, with the real model and every test that computes: bun tests/kernels/paths.ts. */
const files = [
  ...new Bun.Glob("ffi/exo-*.test.ts").scanSync(),
  ...["quantised", "tiny", "together"].map((suite) => `tests/parity/${suite}.test.ts`),
];

test.each(others)(
  "the parity suites pass with the kernels of %s",
  async (set) => {
    const { passed, output } = await testsOn(set, files);
    expect(passed ? "passed" : output).toBe("passed");
  },
  SLOWEST_MS,
);
