/** The steps of OPAQUE in processes of their own, which give back with their end what the package takes. */
import { Problem } from "#protocol/problem";
import { type Done, type Step, type Steps, stepHere } from "./pake-steps.ts";

/** A program starts and does it within a quarter of a second; a machine with too much to do takes longer. */
const STEP_MS = 8000;

interface Asked {
  readonly step: Step;
  readonly words: readonly string[];
}

/** By `command`, which runs `stepForParent`. A code goes through a pipe: arguments and environment are for others to see. */
export const stepsBy =
  (command: readonly string[]): Steps =>
  async (step, words) => {
    const asked: Asked = { step, words };
    const child = Bun.spawn([...command], {
      stdin: new TextEncoder().encode(JSON.stringify(asked)),
      stdout: "pipe",
      stderr: "ignore",
      timeout: STEP_MS,
      killSignal: "SIGKILL",
    });
    const text = await child.stdout.text();
    if ((await child.exited) !== 0 || text === "")
      throw new Problem("unavailable", "the proof of the code could not be worked out in time", {
        remedy: "try again in a moment: this machine may have too much to do",
      });
    const done: Done = JSON.parse(text);
    return done;
  };

/** What such a process does: one step from its input to its output. */
export async function stepForParent(): Promise<void> {
  const { step, words }: Asked = JSON.parse(await Bun.stdin.text());
  await Bun.write(Bun.stdout, JSON.stringify(await stepHere(step, words)));
}
