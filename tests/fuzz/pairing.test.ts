import { expect, test } from "bun:test";
import { fuzzPairing } from "./pairing.ts";

test("T1 ten thousand hostile frames let nobody in (a million: bun run fuzz)", async () => {
  const { letIn, sessions } = await fuzzPairing(10_000, 11);
  expect({ letIn, sessions }).toEqual({ letIn: 0, sessions: 1250 });
});
