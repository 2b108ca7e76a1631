/** Who holds up which source: several receivers may be behind on what one lane brings, and it goes on when none of them is. */
import type { Transport } from "./transport/transport.ts";

export class Brakes {
  readonly #holders = new Map<Transport, Set<object>>();

  /** `source` is read no further until `holder` lets go of it. */
  hold(source: Transport, holder: object): void {
    const holders = this.#holders.get(source);
    if (holders) holders.add(holder);
    else {
      this.#holders.set(source, new Set([holder]));
      source.pause?.();
    }
  }

  /** `holder` lets go of all that it held up. */
  release(holder: object): void {
    for (const [source, holders] of this.#holders) {
      if (!holders.delete(holder) || holders.size > 0) continue;
      this.#holders.delete(source);
      source.resume?.();
    }
  }

  /** What `before` held up is `after`'s to let go of. */
  pass(before: object, after: object): void {
    for (const holders of this.#holders.values()) if (holders.delete(before)) holders.add(after);
  }
}
