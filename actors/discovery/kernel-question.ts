/** Whether a machine's kernel is there, asked in a network that loses packets. */

import type { Clock } from "#actors/runtime/clock";
import { crashOf } from "#actors/runtime/part";

/**
 * A system that missed the answer to its first packet waits a whole second before it sends another (RFC 6298), which is longer than a
 * verdict may take: so several connections are tried. Of one, two packets may be lost: at a loss of a fifth one in three comes to
 * nothing, four together one in eighty. The last is tried while there is still time for its answer.
 */
const TRIES = 4;
const APART_MS = 100;

export class KernelQuestion {
  #stop = () => {};

  /** Tells of the first that is answered, or that none was. An earlier question is forgotten. */
  ask(
    clock: Pick<Clock, "after">,
    attempt: () => Promise<boolean>,
    told: (what: "KernelAnswers" | "KernelSilent") => void,
  ): void {
    this.#stop();
    let [open, isOver] = [TRIES, false];
    const tries = async () => {
      const answers = await attempt();
      open -= 1;
      if (isOver || !(answers || open === 0)) return;
      this.#stop();
      told(answers ? "KernelAnswers" : "KernelSilent");
    };
    const tried = () => void tries().catch(crashOf(clock));
    const cancels = Array.from({ length: TRIES - 1 }, (_, i) => clock.after((i + 1) * APART_MS, tried));
    this.#stop = () => {
      isOver = true;
      for (const cancel of cancels) cancel();
    };
    tried();
  }

  /** Nothing more is asked or told. */
  stop(): void {
    this.#stop();
  }
}
