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

/** A look costs some microseconds; what a pairing took is given back within this time. */
const LOOK_EVERY_MS = 5_000;
/** What code that runs again takes after each time, and less than anything that happens once. */
const GROWTH_BYTES = 3e6;
/** Each time costs the same work again as a start does, 50 ms: here 0.05 % of a processor at most. */
const BUDGET = { restarts: 6, withinMs: 10 * 60_000 };

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
