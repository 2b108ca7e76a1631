/** A worker that is stopped (SIGSTOP) answers nothing and does not end: it counts as dead, whichever machine it is on. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { freshFolder } from "../cli/exo.ts";
import { members, started } from "./processes.ts";
import { linked, PAUSE_MS_MAX, streamed } from "./streams.ts";

setDefaultTimeout(120_000);

const STOPPED_AT = 20;

/** The worker of that machine. */
async function workerOf(url: string): Promise<number> {
  const answer = await fetch(`${url}/exo/v1/ps`);
  const { models }: { readonly models: readonly { readonly pid?: number }[] } = JSON.parse(
    await answer.text(),
  );
  const [held] = models;
  if (held?.pid === undefined) throw new Error("no worker runs there");
  return held.pid;
}

test("an answer goes on when the worker of either machine is stopped", async () => {
  using folder = freshFolder();
  const [ada, bob] = await members(folder.path, ["ada", "bob"], []);
  if (!ada || !bob) throw new Error("two machines");
  await using first = await started(ada);
  await using second = await started(bob);
  await linked([first, second]);
  const body = JSON.stringify({ model: "smollm2", nodes: ["ada", "bob"] });
  await fetch(`${first.url}/exo/v1/load`, { method: "POST", body });
  const whole = await streamed(first.url, () => {});
  const outcomes: unknown[] = [];
  for (const machine of [first, second]) {
    const pid = await workerOf(machine.url);
    const { text, pauseMs, problem } = await streamed(first.url, (count) => {
      if (count === STOPPED_AT) process.kill(pid, "SIGSTOP");
    });
    outcomes.push([text === whole.text, pauseMs < PAUSE_MS_MAX || pauseMs, problem]);
  }
  expect(outcomes).toEqual(Array(2).fill([true, true, ""]));
});
