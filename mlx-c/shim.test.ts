import { expect, test } from "bun:test";
import { testShim } from "./test.ts";
import { hostPlatform } from "./toolchain.ts";

/** The first run may compile the shim and its tests. */
const COMPILE_MS = 300_000;

test(
  "the shim's own tests pass on this machine",
  async () => {
    expect(await testShim(hostPlatform())).toEndWith(" passed, 0 failed\n");
  },
  COMPILE_MS,
);
