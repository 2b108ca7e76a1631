/** Steps in processes of their own, which give back with their end what the packages take. */
import { Problem } from "#protocol/problem";
import { environmentOfChildren } from "../machine/allocator.ts";
import { type Done, STEP_MS, type Step, type Steps, stepHere } from "./steps.ts";

/** One after the other, so that whoever asks for much cannot fill the machine with processes; some seconds' work where nothing else is done. */
const WAITING_MAX = 32;

interface Asked {
  readonly step: Step;
  readonly words: readonly string[];
}

/** By `command`, which runs `stepForParent`. Keys and codes go through pipes: arguments and environment are for others to see. */
export function stepsBy(command: readonly string[]): Steps {
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  return async (step, words) => {
    if (waiting >= WAITING_MAX)
      throw new Problem("overloaded", `${WAITING_MAX} pieces of cryptography wait to be worked out already`);
    waiting += 1;
    const done = last
      .then(() => doneBy(command, { step, words }))
      .finally(() => {
        waiting -= 1;
      });
    last = done.catch(() => {}); // Told to who asked; the next does not depend on it.
    return await done;
  };
}

async function doneBy(command: readonly string[], asked: Asked): Promise<Done> {
  const child = started(command, JSON.stringify(asked));
  const [text, said] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  const code = await child.exited;
  const what = WORKED_OUT[asked.step] ?? "the proof of the code";
  if (child.signalCode !== null) throw late(what);
  if (code !== 0 || text === "") throw failed(what, reasonIn(said) ?? `it ended with status ${code}`);
  const done: Done = JSON.parse(text);
  return done;
}

function started([program = "", ...words]: readonly string[], input: string) {
  try {
    return Bun.spawn([program, ...words], {
      env: environmentOfChildren(),
      stdin: new TextEncoder().encode(input),
      stdout: "pipe",
      stderr: "pipe",
      timeout: STEP_MS,
      killSignal: "SIGKILL",
    });
  } catch (cause) {
    const remedy = "the program may have been moved or replaced since exo started: start exo again";
    throw new Problem("unavailable", `${program} could not be started`, { remedy, cause });
  }
}

/** Ended by the timer, or by a system that has no memory left. */
const late = (what: string): Problem =>
  new Problem("unavailable", `${what} could not be worked out in time`, {
    remedy: "try again in a moment: this machine may have too much to do",
  });

/** An update puts another program where this one was, while this one runs. */
const failed = (what: string, why: string): Problem =>
  new Problem("unavailable", `${what} could not be worked out: ${why}`, {
    remedy: "the program may have been moved or replaced since exo started: start exo again",
  });

/** More of a message is no help. */
const REASON_CHARS_MAX = 200;

/** What a program says of its error, without the place in its source. */
const reasonIn = (said: string): string | undefined =>
  /^(?:✗ |\w*error: )(.+)$/im.exec(said)?.[1]?.slice(0, REASON_CHARS_MAX);

const WORKED_OUT: Partial<Record<Step, string>> = {
  found: "the certificates of this home",
  certifyCluster: "a certificate",
  certifyNode: "a certificate",
  certifyOnce: "a certificate",
  certifyServer: "a certificate",
  seal: "a sealed key",
  succeed: "the next key of this home",
};

/** What such a process does: one step from its input to its output. */
export async function stepForParent(): Promise<void> {
  const { step, words }: Asked = JSON.parse(await Bun.stdin.text());
  await Bun.write(Bun.stdout, JSON.stringify(await stepHere(step, words)));
}
