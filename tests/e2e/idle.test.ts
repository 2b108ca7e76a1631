/** What a model that is held and not asked costs its machine. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { freshFolder } from "../cli/exo.ts";
import { childrenOf, isAlive, type Server, serving, TEST_MS_MAX, until, usedMs } from "./product.ts";

setDefaultTimeout(TEST_MS_MAX);

/** Long enough for timers that fire every second to be seen. */
const LOOKED_MS = 2_000;
/** Of one processor. */
const IDLE_MAX = 0.005;

async function answer({ url, held }: Server): Promise<void> {
  const answered = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "smollm2", prompt: "One, two,", max_tokens: 32, ignore_eos: true }),
  });
  expect(answered.status).toBe(200);
  await until("the answer is over", async () => (await held()).every(({ requests }) => requests === 0));
}

test("a worker that has answered and waits takes no processor", async () => {
  using home = freshFolder();
  await using server = await serving(home.path, ["--model", "smollm2"]);
  await answer(server);
  const [worker = 0] = childrenOf(server.pid);
  // Right after an answer the engine's language still compiles and collects; a thread that spins never rests.
  let from = { ms: performance.now(), used: usedMs(worker) };
  await until(`two seconds with less than ${100 * IDLE_MAX} % of a processor`, () => {
    const now = { ms: performance.now(), used: usedMs(worker) };
    if (now.ms - from.ms < LOOKED_MS) return false;
    const share = (now.used - from.used) / (now.ms - from.ms);
    from = now;
    return share < IDLE_MAX;
  });
  expect(isAlive(worker)).toBe(true);
});
