import { expect, test } from "bun:test";
import { fuzzShim, testShim } from "./test.ts";

/** The first run may compile the shim and its tests. */
const COMPILE_MS = 300_000;
/** About two seconds on each instruction set; `bun mlx-c/test.ts --fuzz 100000` is the long one. */
const CASES = 3000;

test(
  "the shim's own tests pass on this machine",
  async () => {
    expect(await testShim()).toEndWith(" passed, 0 failed\n");
  },
  COMPILE_MS,
);

test(
  "random cases of every kernel agree with a plain reference on each instruction set",
  async () => {
    const printed = Object.entries(await fuzzShim({ told: ["--cases", `${CASES}`] }));
    const last = printed.map(([path, text]) => [path, text.trimEnd().split("\n").at(-1)]);
    expect(last).toEqual(printed.map(([path]) => [path, `${path}: ${CASES} cases, 0 findings`]));
    expect(printed.map(([path]) => path)).toContain(process.arch === "arm64" ? "neon" : "portable");
  },
  COMPILE_MS,
);
