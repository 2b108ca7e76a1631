/** Whether this machine takes part in models of several machines: what is held alone must not be decided while that is not known. */
import type { PlacementWish, Rebalanced } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import type { Serving } from "./serving.ts";
import { type Around, until } from "./until.ts";

/** `alone`: it never will. `notNow`: its part is being started, maybe again. `ending`: this exo is. */
export type Part = Serving | "alone" | "notNow" | "ending";

/** Its part starts anew within a second as a rule; its pauses between crashes are five at most (node/home.ts). */
const PATIENCE_MS = 10_000;

export class Across {
  readonly #around: Around;
  readonly #part: () => Part;

  constructor(around: Around, part: () => Part) {
    this.#around = around;
    this.#part = part;
  }

  /** Undefined while there is none. */
  get serving(): Serving | undefined {
    const part = this.#part();
    return typeof part === "string" ? undefined : part;
  }

  /** Throws Problem. */
  async rebalance(model: string, wish?: PlacementWish): Promise<Rebalanced> {
    const serving = await this.settled();
    if (serving) return await serving.rebalance(model, wish);
    throw new Problem("unavailable", "this exo works alone: it knows no other machines");
  }

  /** Once it is known; undefined where this machine works alone. Throws Problem. */
  async settled(): Promise<Serving | undefined> {
    await until(this.#around, () => this.#part() !== "notNow", PATIENCE_MS);
    const part = this.#part();
    if (part === "alone") return undefined;
    if (part === "ending") throw new Problem("cancelled", "this exo is being ended");
    if (part !== "notNow") return part;
    throw new Problem("unavailable", "this machine's part in its home is being started", {
      remedy: "try again in a moment",
    });
  }
}
