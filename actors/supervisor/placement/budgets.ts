/** How often each model may be placed anew for its own fault: whoever looks after it next goes on with what is left. */
import type { Clock } from "#actors/runtime/clock";
import { RestartBudget } from "#actors/runtime/supervision";
import type { PlacedInstance } from "#protocol/placement";
import { RESTARTS } from "./placed.ts";

export class Budgets {
  readonly #clock: Clock;
  /** By instance. */
  readonly #budgets = new Map<string, RestartBudget>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Those of instances that are no more are forgotten. */
  of(id: string, instances: readonly PlacedInstance[]): RestartBudget {
    for (const old of this.#budgets.keys())
      if (!instances.some((each) => each.id === old)) this.#budgets.delete(old);
    const budget = this.#budgets.get(id) ?? new RestartBudget(RESTARTS, this.#clock);
    this.#budgets.set(id, budget);
    return budget;
  }
}
