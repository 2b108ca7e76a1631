/** What a model that is held and not asked costs its machine. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { freshFolder } from "../cli/exo.ts";
import { childrenOf, isAlive, type Server, serving, TEST_MS_MAX, until } from "./product.ts";

setDefaultTimeout(TEST_MS_MAX);

/** Long enough for timers that fire every second or two to be seen. */
const LOOKED_MS = 4_000;
/** Of one processor. */
const IDLE_MAX = 0.005;

/** Processor time that a process has used so far, of all its threads: proc(5), `/proc/pid/task/tid/schedstat`. */
const usedMs = (pid: number): number =>
  readdirSync(`/proc/${pid}/task`)
    .map((task) => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]))
    .reduce((sum, nanoseconds) => sum + nanoseconds / 1e6, 0);

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
  // The pool's threads look for more work for a moment before they sleep, and the collector runs.
  let before = Number.NEGATIVE_INFINITY;
  await until("the worker comes to rest", () => {
    const last = before;
    before = usedMs(worker);
    return before - last < 1;
  });
  const startedMs = performance.now();
  const usedBefore = usedMs(worker);
  await until("some seconds have passed", () => performance.now() - startedMs > LOOKED_MS);
  const share = (usedMs(worker) - usedBefore) / (performance.now() - startedMs);
  expect([isAlive(worker), share < IDLE_MAX ? "at rest" : share]).toEqual([true, "at rest"]);
});
