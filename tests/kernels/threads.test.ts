/** A machine with more cores may go on with what another began: threads share the work and leave no trace in the bits. */
import { expect, test } from "bun:test";
import { join } from "node:path";

async function computedBy(threads: number): Promise<string> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "threads-child.ts")], {
    env: { ...process.env, EXO_THREADS: String(threads) },
    stdout: "pipe",
  });
  return await new Response(child.stdout).text();
}

test("attention over a long cache has the same bits whether one, two or five threads compute it", async () => {
  const [one, two, five] = await Promise.all([computedBy(1), computedBy(2), computedBy(5)]);
  expect([two === one, five === one, one]).toEqual([true, true, expect.stringMatching(/^[0-9a-f]{64}\n$/)]);
});
