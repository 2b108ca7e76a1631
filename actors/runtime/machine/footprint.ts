/** Keeps a process that waits small: what it needed for something that is over is given back to the machine. */
import type { Clock } from "../clock.ts";
import { RestartBudget } from "../supervision.ts";

export interface FootprintPorts {
  readonly clock: Clock;
  /** Memory of this process that the machine holds for it, in bytes. */
  residentBytes(): number;
  /** Whether somebody waits for an answer: giving back stops everything for some tens of milliseconds. */
  busy(): Promise<boolean>;
  giveBack(): void;
}

/** A look costs some microseconds; what a start took that was over, and a pairing, is given back within this time. */
const LOOK_EVERY_MS = 10_000;
/** Code that runs again takes 5 MB in the minutes after each time; a pairing takes 10 MB. */
const GROWTH_BYTES = 7e6;
/** Each time costs 0.3 s of work within a minute, as code is compiled again: here 0.03 % of a processor at most. */
const BUDGET = { restarts: 4, withinMs: 60 * 60_000 };

/** Runs until the returned function is called. */
export function keepSmall(ports: FootprintPorts): () => void {
  const budget = new RestartBudget(BUDGET, ports.clock);
  let settled = 0;
  let isOver = false;
  let cancel = () => {};

  async function look(): Promise<void> {
    const grown = ports.residentBytes() - settled > GROWTH_BYTES;
    if (grown && !(await ports.busy()) && !isOver && budget.spend()) {
      ports.giveBack();
      // It is done once this process waits, and takes some time to be seen.
      await new Promise<void>((resolve) => {
        cancel = ports.clock.after(LOOK_EVERY_MS, resolve);
      });
      settled = ports.residentBytes();
    }
    if (!isOver) again();
  }

  function again(): void {
    cancel = ports.clock.after(LOOK_EVERY_MS, () => void look().catch(again));
  }

  again();
  return () => {
    isOver = true;
    cancel();
  };
}

/** Bun gives back the most when it drops compiled code as well, which is made again where it is needed. */
export const thisProcess: Pick<FootprintPorts, "residentBytes" | "giveBack"> = {
  residentBytes: () => process.memoryUsage.rss(),
  giveBack: () => Bun.shrink(),
};
