/** A worker that is stopped (SIGSTOP) answers nothing and does not end: it counts as dead, whichever machine it is on. */
import { setDefaultTimeout, test } from "bun:test";
import { heldAt } from "../e2e/product.ts";
import { expectIn, homeOf } from "./home-of.ts";
import { PAUSE_MS_MAX, streamed } from "./streams.ts";

setDefaultTimeout(180_000);

const STOPPED_AT = 20;

/** The worker of that machine. */
async function workerOf(url: string): Promise<number> {
  const [held] = await heldAt(url);
  if (held?.pid === undefined) throw new Error("no worker runs there");
  return held.pid;
}

test("an answer goes on when the worker of either machine is stopped", async () => {
  await using home = await homeOf("ada", "bob");
  const [ada] = home.all;
  const body = JSON.stringify({ model: "smollm2", nodes: ["ada", "bob"] });
  await fetch(`${ada.url}/exo/v1/load`, { method: "POST", body });
  const whole = await streamed(ada.url, () => {});
  const outcomes: unknown[] = [];
  for (const machine of home.all) {
    const pid = await workerOf(machine.url);
    const { text, pauseMs, problem } = await streamed(ada.url, (count) => {
      if (count === STOPPED_AT) process.kill(pid, "SIGSTOP");
    });
    outcomes.push([text === whole.text || [whole.text, text], pauseMs < PAUSE_MS_MAX || pauseMs, problem]);
  }
  expectIn(home.all, { outcomes }, { outcomes: Array(2).fill([true, true, ""]) });
});
