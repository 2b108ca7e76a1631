/** How often something may be started again before giving up: `restarts` within `withinMs`, then escalate. */
import type { Clock } from "./clock.ts";

export interface Budget {
  readonly restarts: number;
  readonly withinMs: number;
}

export class RestartBudget {
  readonly #budget: Budget;
  readonly #clock: Clock;
  #spent: number[] = [];

  constructor(budget: Budget, clock: Clock) {
    this.#budget = budget;
    this.#clock = clock;
  }

  /** Restarts within the budget's time, up to the last one that was asked for. */
  get spent(): number {
    return this.#spent.length;
  }

  /** True: start it again, and this start is counted. False: the budget is spent. */
  spend(): boolean {
    const now = this.#clock.nowMs();
    this.#spent = this.#spent.filter((at) => now - at < this.#budget.withinMs);
    if (this.#spent.length >= this.#budget.restarts) return false;
    this.#spent.push(now);
    return true;
  }
}
